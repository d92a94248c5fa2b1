/**
 * Values of lazy changes that the disk has lost, by their keys. The next commit fails, unless all these keys are deleted or put again before.
 * A database that is closed and opened again has the same lost values. Part of agent-vm's own storage of actors.
 */
export class LostValues {
  /** Keys in hexadecimal digits, whose order is that of the bytes. */
  readonly #keys = new Map<string, unknown>();

  /** @param error why the values of the keys are lost */
  add(keys: Iterable<Uint8Array>, error: unknown): void {
    for (const key of keys) this.#keys.set(hex(key), error);
  }

  /** Notes that keys were put or deleted: nothing counts on their earlier values. */
  end(keys: Iterable<Uint8Array>): void {
    if (this.#keys.size > 0) for (const key of keys) this.#keys.delete(hex(key));
  }

  /** Notes that all keys from `start` on and before `end` were deleted. */
  endRange(start: Uint8Array, end: Uint8Array): void {
    if (this.#keys.size === 0) return;
    const [from, to] = [hex(start), hex(end)];
    for (const key of this.#keys.keys()) if (key >= from && key < to) this.#keys.delete(key);
  }

  /** Forgets all lost values. @throws the reason of a loss, if there is one */
  fail(): void {
    if (this.#keys.size === 0) return;
    const [error] = this.#keys.values();
    this.#keys.clear();
    throw error;
  }
}

const hex = (key: Uint8Array): string => Buffer.from(key).toString("hex");
