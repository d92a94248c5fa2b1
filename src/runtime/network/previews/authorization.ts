import { canonicalName } from "../requests/end-to-end.ts";

/**
 * Removes `Authorization` headers from raw headers, in every spelling that an app may read as this name.
 *
 * @param isOurs says of a value whether it must not reach the app
 */
export function dropAuthorization(rawHeaders: string[], isOurs: (value: string) => boolean): void {
  for (let at = rawHeaders.length - 2; at >= 0; at -= 2) {
    const isNamed = canonicalName(rawHeaders[at] ?? "") === "authorization";
    if (isNamed && isOurs(rawHeaders[at + 1] ?? "")) rawHeaders.splice(at, 2);
  }
}
