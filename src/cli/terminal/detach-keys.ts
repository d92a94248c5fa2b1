import { UsageError } from "../exit-codes.ts";

/** Reads keys such as `ctrl-p,ctrl-q`. @returns their bytes */
export function parseDetachKeys(text: string): number[] {
  return text.split(",").map((key) => {
    const [, control] = /^ctrl-([a-z@[\\\]^_])$/i.exec(key) ?? [];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    if (/^[\x21-\x7e]$/.test(key)) return key.charCodeAt(0);
    throw new UsageError(`Expected keys such as ctrl-p,ctrl-q, got ${JSON.stringify(text)}`);
  });
}

/** Finds the detach keys in what a person types, also across several reads. */
export class DetachKeys {
  readonly #keys: readonly number[];
  /** Number of keys of the sequence that were typed so far, and are held back. */
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** @returns the bytes for the VM, and whether the keys are complete */
  take(data: Uint8Array): { data: Uint8Array; isComplete: boolean } {
    const passed: number[] = [];
    for (const byte of data) {
      if (byte !== this.#keys[this.#matched]) {
        passed.push(...this.#keys.slice(0, this.#matched));
        this.#matched = 0;
      }
      if (byte === this.#keys[this.#matched]) this.#matched += 1;
      else passed.push(byte);
      if (this.#matched === this.#keys.length) return { data: Uint8Array.from(passed), isComplete: true };
    }
    return { data: Uint8Array.from(passed), isComplete: false };
  }
}
