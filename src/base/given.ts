const given = new WeakSet<object>();

/** Marks an argument that its caller does not use again: the callee may take parts out of it, which frees their memory. */
export function give(value: unknown): void {
  if (typeof value === "object" && value !== null) given.add(value);
}

/** Whether the callee may change an argument. */
export function isGiven(value: object): boolean {
  return given.has(value);
}
