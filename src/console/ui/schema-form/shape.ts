/** The part of a JSON schema that a form is made of. */
export interface Shape {
  type?: string;
  enum?: unknown[];
  properties?: Record<string, Shape>;
  required?: string[];
  items?: Shape | false;
  additionalProperties?: Shape | boolean;
  maximum?: number;
}

/** Texts of a form's fields, by their names. A group of fields has a draft of its own. */
export interface Draft {
  [name: string]: string | Draft;
}

export type FieldKind = "group" | "choice" | "number" | "text" | "lines" | "pairs" | "json";

export function kindOf({ type, enum: choices, properties, items, additionalProperties }: Shape): FieldKind {
  if (choices !== undefined || type === "boolean") return "choice";
  if (type === "number" || type === "integer") return "number";
  if (type === "string") return "text";
  if (type === "array" && items && items.type === "string") return "lines";
  if (properties !== undefined) return "group";
  const isOfTexts = typeof additionalProperties === "object" && additionalProperties.type === "string";
  return type === "object" && isOfTexts ? "pairs" : "json";
}

/** Texts that a choice offers. */
export function choicesOf({ enum: choices, type }: Shape): string[] {
  return type === "boolean" ? ["true", "false"] : (choices ?? []).map(String);
}

/** Factors of the units of an amount. */
const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  ki: 1024,
  mi: 1024 ** 2,
  gi: 1024 ** 3,
};

/** Reads a number, also with a unit of bytes: `512 MiB`. @returns the text itself if it is not a number. The server refuses it */
function amountOf(text: string): number | string {
  const [, digits, unit = ""] = /^([\d.]+)\s*([kmg]?i?)b?$/i.exec(text) ?? [];
  const factor = UNITS[unit.toLowerCase()];
  return digits === undefined || factor === undefined ? text : Number(digits) * factor;
}

/**
 * Makes the value of a field from what the user has entered.
 *
 * @returns `undefined` for a field, or a group of fields, that is empty
 */
export function fieldValue(shape: Shape, entered: string | Draft | undefined): unknown {
  if (typeof entered === "object") {
    const values = Object.entries(shape.properties ?? {}).flatMap(([name, inner]) => {
      const value = fieldValue(inner, entered[name]);
      return value === undefined ? [] : [[name, value]];
    });
    return values.length === 0 ? undefined : Object.fromEntries(values);
  }
  const text = entered?.trim() ?? "";
  if (text === "") return undefined;
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  switch (kindOf(shape)) {
    case "number":
      return amountOf(text);
    case "choice":
      if (shape.type === "boolean") return text === "true";
      return shape.enum?.find((choice) => String(choice) === text) ?? text;
    case "text":
      return entered;
    case "lines":
      return lines;
    case "pairs":
      // The server refuses a text.
      if (!lines.every((line) => line.includes("="))) return text;
      return Object.fromEntries(
        lines.map((line) => [line.split("=", 1)[0], line.slice(line.indexOf("=") + 1)]),
      );
    default:
      return jsonOf(text);
  }
}

/** Takes a text as JSON, or as it is. */
function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
