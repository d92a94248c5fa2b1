import { expect, test } from "vitest";
import { METHODS, rowOf, VM_METHOD_NAMES } from "../../src/api/methods/table.ts";
import { shapeOf } from "../../src/console/ui/schema-form/method-shape.ts";
import { fieldValue, kindOf, type Shape } from "../../src/console/ui/schema-form/shape.ts";

test("a field's text becomes the value that its schema wants", () => {
  const cases: [Shape, string, unknown][] = [
    [{ type: "number" }, " 1.5 ", 1.5],
    [{ type: "integer" }, "512 MiB", 512 * 1024 ** 2],
    [{ type: "integer" }, "2k", 2000],
    [{ type: "integer" }, "many", "many"],
    [{ type: "boolean" }, "false", false],
    [{ enum: ["none", "all"] }, "all", "all"],
    [{ type: "string" }, "123", "123"],
    [{ type: "array", items: { type: "string" } }, "a\n\nb c\n", ["a", "b c"]],
    [{ type: "object", additionalProperties: { type: "string" } }, "A=b=c\nD=", { A: "b=c", D: "" }],
    [{}, '{"a":[1]}', { a: [1] }],
    [{}, "no json", "no json"],
    [{ type: "number" }, "", undefined],
  ];
  for (const [shape, text, value] of cases) expect(fieldValue(shape, text)).toEqual(value);
  const group: Shape = { properties: { a: { type: "number" }, b: { type: "string" } } };
  expect(fieldValue(group, { a: "1", b: "" })).toEqual({ a: 1 });
  expect(fieldValue(group, { a: "", b: "" })).toBeUndefined();
});

test("every method has a form with its arguments", () => {
  for (const name of VM_METHOD_NAMES) {
    const { properties = {}, required } = shapeOf(rowOf(name));
    expect(Object.keys(properties)).toEqual(METHODS[name].input.names);
    for (const argument of required ?? []) expect(properties).toHaveProperty(argument);
  }
  const { options, command } = shapeOf(METHODS.exec).properties ?? {};
  expect(
    [command, options?.properties?.timeout, options?.properties?.env].map((shape) => kindOf(shape ?? {})),
  ).toEqual(["text", "number", "pairs"]);
});
