/** Which bytes of a file have arrived; pieces may come in any order and more than once. */
export class ByteRanges {
  /** Sorted, disjoint, not touching. */
  #ranges: { start: number; end: number }[] = [];

  add(start: number, length: number): void {
    if (length === 0) return;
    let merged = { start, end: start + length };
    const apart = this.#ranges.filter((range) => {
      const touches = range.start <= merged.end && range.end >= merged.start;
      if (touches)
        merged = { start: Math.min(range.start, merged.start), end: Math.max(range.end, merged.end) };
      return !touches;
    });
    this.#ranges = [...apart, merged].sort((left, right) => left.start - right.start);
  }

  /** Bytes that have arrived, each counted once. */
  get total(): number {
    return this.#ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  }
}
