import type { OwnLimits } from "../../../client/index.ts";
import type { Shape } from "./shape.ts";

/** Returns limits that may be chosen, up to their maxima, as the fields of a form. */
export function limitsShape(maxima: OwnLimits): Shape {
  const numbers = Object.entries(maxima).map(([name, maximum]) => [name, { type: "number", maximum }]);
  return { properties: Object.fromEntries(numbers) as Record<string, Shape> };
}
