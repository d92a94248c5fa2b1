/** Decodes a part of a URL. @returns `undefined` if it is malformed */
export function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}
