import { z } from "zod";

/** Returns the keys that the object at a path takes, for the message that refuses another key. */
export function knownKeys(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  let schemas: unknown[] = [schema];
  for (const key of path) schemas = unwrap(schemas).map((outer) => inner(outer, key));
  const keys = unwrap(schemas).flatMap((found) =>
    found instanceof z.ZodObject ? Object.keys(found.shape) : [],
  );
  return [...new Set(keys)];
}

function unwrap(schemas: unknown[]): unknown[] {
  return schemas.flatMap((schema) => {
    if (
      schema instanceof z.ZodOptional ||
      schema instanceof z.ZodDefault ||
      schema instanceof z.ZodPrefault
    ) {
      return unwrap([schema.unwrap()]);
    }
    if (schema instanceof z.ZodPipe) return unwrap([schema.out]);
    return schema instanceof z.ZodUnion ? unwrap([...schema.options]) : [schema];
  });
}

function inner(schema: unknown, key: PropertyKey): unknown {
  if (schema instanceof z.ZodTuple) return schema.def.items[Number(key)];
  if (schema instanceof z.ZodArray) return schema.element;
  if (schema instanceof z.ZodRecord) return schema.valueType;
  return schema instanceof z.ZodObject ? (schema.shape as Record<PropertyKey, unknown>)[key] : undefined;
}
