/** A target of a request for an actor: `/gateway/ACTOR/...` or `/gateway/ACTOR@TOKEN/...`, as RivetKit names it. */
interface GatewayTarget {
  actorId: string;
  /** The token as the target has it: encoded. */
  token: string | undefined;
  /** Path and query for the actor: empty, or text that begins with `/` or `?`. */
  rest: string;
}

const PREFIX = "/gateway/";
const TARGET = /^\/gateway\/([\w-]{1,64})(?:@([^/?#]*))?((?:[/?].*)?)$/s;

/** Returns whether a target names an actor, also in a spelling that `parseGateway` does not read. */
export function isGateway(target: string): boolean {
  return target.startsWith(PREFIX);
}

/** Reads the target of a request. @returns `undefined` for any other target, and for another spelling of an actor's id */
export function parseGateway(target: string): GatewayTarget | undefined {
  const [, actorId, token, rest = ""] = TARGET.exec(target) ?? [];
  return actorId === undefined ? undefined : { actorId, token, rest };
}

/** Writes the target of a request for an actor. */
export function gatewayPath(actorId: string, rest = "", token?: string): string {
  const credentials = token === undefined ? "" : `@${encodeURIComponent(token)}`;
  return `${PREFIX}${encodeURIComponent(actorId)}${credentials}${rest}`;
}

/** Returns the id of the actor that a request names: by its target, else by RivetKit's header. */
export function actorNamedBy(target: string, header: string | null | undefined): string | undefined {
  return isGateway(target) ? parseGateway(target)?.actorId : (header ?? undefined);
}

/** Returns whether RivetKit hands a request to an actor's own `onRequest`, without a look at its body. @param path target without query */
export function isHandedOn(path: string): boolean {
  return /^\/request(\/|$)/.test(parseGateway(path)?.rest ?? path);
}
