/** Where a request for a preview leads, as it stands in the request line. */
export interface PreviewTarget {
  actorId: string;
  token: string;
  /** `/gateway/ACTOR/request/fetch/TOKEN`. */
  prefix: string;
  /** What is asked of the app, byte for byte. */
  path: string;
  /** The URL ends with the token: a page's relative links would leave the preview. */
  isBare: boolean;
}

/** Exactly this form and nothing that decodes to it: everything else is for the access policy. */
const PREVIEW = /^(\/gateway\/([\w-]{1,64})\/request\/fetch\/([^/?#]*))([/?].*)?$/;

export function parsePreview(url: string): PreviewTarget | undefined {
  const [, prefix, actorId, token, rest = ""] = PREVIEW.exec(url) ?? [];
  if (prefix === undefined || actorId === undefined || token === undefined) return undefined;
  const isBare = !rest.startsWith("/");
  return { actorId, token, prefix, path: isBare ? `/${rest}` : rest, isBare };
}

/**
 * Where a page of a preview meant to go with an absolute path, such as `/assets/app.js`: browsers send it to the
 * server's own root, and say in the Referer where they come from.
 */
export function strayPath(
  url: string,
  host: string | undefined,
  referer: string | undefined,
): string | undefined {
  if (referer === undefined || host === undefined || !/^\/(?!gateway\/)/.test(url)) return undefined;
  if (!URL.canParse(referer)) return undefined;
  const from = new URL(referer);
  const target = from.host === host ? parsePreview(from.pathname) : undefined;
  // Two slashes would name another host in a Location.
  return target === undefined ? undefined : target.prefix + url;
}
