/** Token in the path of a gateway request: `/gateway/ACTOR@TOKEN/...`. It may be encoded. */
const GATEWAY_TOKEN = /^(\/gateway\/[\w-]+)@[^/]*/;

/** Path of a request that RivetKit hands to an actor's own `onRequest` without looking at its body. */
const HANDED_ON = /^\/gateway\/[\w-]+\/request(\/|$)/;

const DOTS = /(^|\/)(\.|%2e){1,2}(\/|$)/i;

/**
 * Returns whether a request's target has one spelling only. RivetKit routes by the decoded path, and the checks of this
 * server by the path as it was sent: `/%61ctors` must not be `/actors` for one of them alone.
 *
 * @param target target of a request, as in its first line
 */
export function isPlainTarget(target: string): boolean {
  const path = (target.split("?")[0] as string).replace(GATEWAY_TOKEN, "$1");
  if (!path.startsWith("/") || path.startsWith("//") || /[#\\]/.test(target) || DOTS.test(path)) return false;
  return !path.includes("%") || HANDED_ON.test(path);
}
