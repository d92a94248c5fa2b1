/** Largest number of nested arrays and objects, and of values, in a JSON text. */
export interface JsonLimits {
  levels: number;
  values: number;
}

/**
 * Counts a JSON text's brackets and commas before it is parsed. JSON.parse accepts any depth, at which JSON.stringify and
 * encoders overflow the stack. JSON.parse also takes seconds for millions of values.
 *
 * @returns the number of values, and the limit that the text exceeds
 */
export function jsonValues(text: string, limits: JsonLimits): { values: number; excess?: keyof JsonLimits } {
  let levels = 0;
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') at = endOfString(text, at);
    else if (char === "[" || char === "{") {
      values++;
      if (++levels > limits.levels) return { values, excess: "levels" };
    } else if (char === "]" || char === "}") levels--;
    else if (char === ",") values++;
    if (values > limits.values) return { values, excess: "values" };
  }
  return { values };
}

/** Index of the quotation mark that ends the string. @param start index of its opening quotation mark */
function endOfString(text: string, start: number): number {
  let end = start;
  do {
    end = text.indexOf('"', end + 1);
    if (end < 0) return text.length;
  } while (isEscaped(text, end));
  return end;
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0;
  while (text[at - 1 - backslashes] === "\\") backslashes++;
  return backslashes % 2 === 1;
}
