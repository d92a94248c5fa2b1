import { BodyCollector } from "./body-collector.ts";

/**
 * Reads a whole body of a limited size.
 *
 * @returns `undefined` if the body has more bytes; the rest is not read
 */
export async function readAtMost(body: AsyncIterable<Uint8Array>, most: number): Promise<Buffer | undefined> {
  const collected = new BodyCollector(most);
  for await (const piece of body) {
    if (!collected.add(piece)) return undefined;
  }
  return collected.take();
}
