import type { IncomingMessage } from "node:http";

/** Removes a header from a request, also from the list from which RivetKit reads. @param name in lower case */
export function dropHeader({ headers, rawHeaders }: IncomingMessage, name: string): void {
  delete headers[name];
  for (let at = rawHeaders.length - 2; at >= 0; at -= 2)
    if (rawHeaders[at]?.toLowerCase() === name) rawHeaders.splice(at, 2);
}
