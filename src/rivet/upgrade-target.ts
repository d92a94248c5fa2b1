/**
 * Returns whether RivetKit can parse the target of an upgrade.
 *
 * For RivetKit 2.2, which throws if it cannot. Nothing catches the error, so it would end the process.
 */
export function isParsableTarget(target: string): boolean {
  return URL.canParse(target, "http://localhost");
}
