import { gatewayPath, isGateway, parseGateway } from "../api/gateway-path.ts";

/** A request for a preview, cut from its request line. */
export interface PreviewTarget {
  actorId: string;
  token: string;
  /** `/gateway/ACTOR/request/fetch/TOKEN`, or empty for a preview with a host name. */
  prefix: string;
  /** Path for the app in the VM, byte for byte. */
  path: string;
  /** Whether the URL ends with the token. The relative links of such a page would leave the preview. */
  isBare: boolean;
}

/** Matches only this spelling, and no spelling that decodes to it. The access policy decides about all other requests. */
const PREVIEW = /^(\/request\/fetch\/([^/?#]*))([/?].*)?$/;

/** @returns the parts of a preview's URL; `undefined` for any other URL. */
export function parsePreview(url: string): PreviewTarget | undefined {
  const target = parseGateway(url);
  const [, below, token, rest = ""] = PREVIEW.exec(target?.rest ?? "") ?? [];
  if (target === undefined || target.token !== undefined || below === undefined || token === undefined)
    return undefined;
  const { actorId } = target;
  const isBare = !rest.startsWith("/");
  return { actorId, token, prefix: gatewayPath(actorId, below), path: isBare ? `/${rest}` : rest, isBare };
}

/**
 * Finds the preview to which an absolute path such as `/assets/app.js` belongs. For an absolute link in a preview's page, a
 * browser requests the path from the server's root, with the preview in the Referer.
 *
 * @returns the path within the preview; `undefined` if the request does not come from a preview.
 */
export function strayPath(
  url: string,
  host: string | undefined,
  referer: string | undefined,
): string | undefined {
  if (referer === undefined || host === undefined || !url.startsWith("/") || isGateway(url)) return undefined;
  if (!URL.canParse(referer)) return undefined;
  const from = new URL(referer);
  const target = from.host === host ? parsePreview(from.pathname) : undefined;
  // With two slashes the Location would name another host.
  return target === undefined ? undefined : target.prefix + url;
}
