const STEP = "  ";

/** A string, a bracket, a comma, a colon, or a number or word of JSON. */
const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^"{}[\],:]+/g;

/**
 * Writes a value as `JSON.stringify(value, undefined, 2)` does, up to a length. The indentation of 100 KB of deep lists has 50 MB.
 *
 * @param maximum the text is cut soon after this many characters
 */
export function indented(value: unknown, maximum: number): string {
  const text = JSON.stringify(value);
  if (text === undefined) return "";
  let shown = "";
  let depth = 0;
  let last = "";
  const line = () => `\n${STEP.repeat(depth)}`;
  for (const [token] of text.matchAll(TOKEN)) {
    if (shown.length > maximum) break;
    const isEnd = token === "}" || token === "]";
    const isFirst = last === "{" || last === "[";
    if (isEnd) depth -= 1;
    if (isFirst !== isEnd) shown += line();
    shown += token === ":" ? ": " : token;
    if (token === ",") shown += line();
    if (token === "{" || token === "[") depth += 1;
    last = token;
  }
  return shown;
}
