/** Characters that move a terminal's cursor, end a line or reorder text: C0, DEL, C1, line and bidirectional controls. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Escapes the control characters of a text as `\u001b`, so that a log or a terminal shows them as text. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escaped);
}

/** Escapes the control characters of a line, except the final line end. A line of JSON keeps its meaning. */
export function printableLine(line: string): string {
  return line.endsWith("\n") ? `${printable(line.slice(0, -1))}\n` : printable(line);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
