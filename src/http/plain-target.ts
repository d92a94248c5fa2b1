import { isHandedOn, parseGateway } from "../api/gateway-path.ts";

/** A step of dots. RivetKit decodes a path before it reads it as a URL, which has `/` for `\` and no tabs and line breaks. */
const DOTS = /(^|\/|%5c)(%0[9ad])*((\.|%2e)(%0[9ad])*){1,2}(\/|%5c|$)/i;

/**
 * Returns whether a request's target has one spelling only. RivetKit routes by the decoded path, and the checks of this
 * server by the path as it was sent: `/%61ctors` must not be `/actors` for one of them alone.
 *
 * @param target target of a request, as in its first line
 */
export function isPlainTarget(target: string): boolean {
  const whole = target.split("?")[0] as string;
  // A token in the path may be encoded.
  const path = parseGateway(whole)?.rest ?? whole;
  if (!whole.startsWith("/") || whole.startsWith("//") || /[#\\]/.test(target) || DOTS.test(path))
    return false;
  return !path.includes("%") || (path !== whole && isHandedOn(whole));
}
