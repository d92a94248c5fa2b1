/** Returns the text of a message's content, in any shape that the four APIs use. */
export function textOf(content: unknown): string {
  if (content === undefined || content === null) return "";
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map(textOf).join("\n");
  if (typeof content !== "object") return String(content);
  const { text, content: inner, parts, output, response } = content as Record<string, unknown>;
  const found = text ?? inner ?? parts ?? output ?? response;
  return found === undefined ? JSON.stringify(content) : textOf(found);
}

/** Notes that an agent adds to the user's text in separate messages. */
const NOTE = /^\s*<(system-reminder|environment_context|user_instructions|permissions|recommended_plugins)/;

export function isNote(text: string): boolean {
  return NOTE.test(text);
}
