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
  const syntax = /["[\]{},]/g;
  let levels = 0;
  let values = 0;
  let strings = 0;
  for (let match = syntax.exec(text); match !== null; match = syntax.exec(text)) {
    const [char] = match;
    if (char === '"') {
      strings++;
      syntax.lastIndex = endOfString(text, syntax.lastIndex);
    } else if (char === "[" || char === "{") {
      values++;
      levels++;
    } else if (char === ",") values++;
    else levels--;
    if (levels > limits.levels) return { values, excess: "levels" };
    if (values > limits.values) return { values, excess: "values" };
    // JSON.parse refuses such a text at once.
    if (levels < 0 || strings > 2 * values + 1) break;
  }
  return { values };
}

/** Returns the index after the quotation mark that ends a string. @param start index after its opening quotation mark */
function endOfString(text: string, start: number): number {
  const quote = text.indexOf('"', start);
  if (quote < 0) return text.length;
  if (text[quote - 1] !== "\\") return quote + 1;
  // A pattern of any length would overflow the stack.
  const part = /(?:[^"\\]|\\.){1,1000}/sy;
  part.lastIndex = start;
  let end = start;
  while (part.test(text)) end = part.lastIndex;
  return end + 1;
}
