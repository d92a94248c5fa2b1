const given = new WeakMap<object, () => void>();

/**
 * Marks an argument that its caller does not use again: the callee may take parts out of it, which frees their memory.
 *
 * @param onTaken is called when the callee has taken a part out
 */
export function give(value: unknown, onTaken: () => void = () => undefined): void {
  if (typeof value === "object" && value !== null) given.set(value, onTaken);
}

/** Takes a part out of an argument, if it was given away. */
export function takeOut<Name extends string>(value: Partial<Record<Name, unknown>>, name: Name): void {
  const onTaken = given.get(value);
  if (onTaken === undefined) return;
  delete value[name];
  onTaken();
}
