import { z } from "zod";
import type { AnyMethod } from "../../../api/methods/method.ts";
import type { Shape } from "./shape.ts";

/** Returns the arguments of a method as the fields of a form, by their names. */
export function shapeOf({ input }: AnyMethod): Shape {
  const { prefixItems = [] } = z.toJSONSchema(input.args, { io: "input", unrepresentable: "any" }) as {
    prefixItems?: Shape[];
  };
  return {
    properties: Object.fromEntries(input.names.map((name, index) => [name, prefixItems[index] ?? {}])),
    required: input.names.filter((_name, index) => !input.optional[index]),
  };
}
