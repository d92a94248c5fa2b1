import { z } from "zod";
import { AgentVmError, invalidArgument, unauthorized } from "../api/errors.ts";
import type { Right } from "../api/rights.ts";
import { rights, type VmPrefix, vmScope } from "../api/tokens.ts";
import { within } from "../base/within.ts";
import type { Grant, VmName } from "./grant.ts";
import { AUTHORIZE_TIMEOUT_MS } from "./limits.ts";
import type { Logger } from "./logger.ts";

/** A request that `authorize` decides about. */
export interface AuthorizeRequest {
  /** Headers of the request. */
  headers: Pick<Headers, "get">;
  /** Token that the client presents, wherever it presents it; `undefined` without one. */
  token: string | undefined;
  /**
   * The VM that the request reaches, if it names one. Lookups by key and lists name no VM: the `vms` of
   * the answer bound them.
   */
  vm?: {
    /** Name of the actor in the registry. */
    name: string;
    /** Key of the VM. */
    key: readonly string[];
  };
}

/** The sender of a request, and its rights. */
export interface Authorization {
  /** The sender, as JSON of at most 4 KiB. The server keeps it with the client's connections. */
  identity: unknown;
  /** The VMs that the client reaches: a key, an array of keys, or a prefix of keys. */
  vms: string | (string | string[])[] | VmPrefix;
  /** Rights of the client. */
  may: Right[];
  /** Time at which this ends, in milliseconds since the Unix epoch. Open connections end then. @default never */
  expiresAt?: number;
}

/** Decides who sends a request. `null` refuses it. */
export type Authorize = (
  request: AuthorizeRequest,
) => Promise<Authorization | null | undefined> | Authorization | null | undefined;

const MAX_IDENTITY_CHARS = 4096;

const schema = z.strictObject({
  identity: z.json().refine((identity) => JSON.stringify(identity).length <= MAX_IDENTITY_CHARS, {
    error: `JSON of at most ${MAX_IDENTITY_CHARS} characters`,
  }),
  vms: vmScope,
  may: rights,
  expiresAt: z.number({ error: "milliseconds since the Unix epoch" }).optional(),
});

/**
 * Asks the user's function about a request. Any failure of the function refuses the request; the log says why.
 *
 * @throws AgentVmError `unauthorized`
 */
export async function askUser(
  authorize: Authorize,
  request: AuthorizeRequest & { vm?: VmName },
  logger: Logger,
): Promise<Grant> {
  const { token } = request;
  const refused = () =>
    unauthorized(token === undefined ? "missing" : "invalid", "The server does not admit the request");
  try {
    const answering = Promise.resolve(authorize(request)).then((answer) => ({ answer }));
    const answered = await within(answering, AUTHORIZE_TIMEOUT_MS);
    if (answered === undefined) throw new Error(`no answer within ${AUTHORIZE_TIMEOUT_MS} ms`);
    const { answer } = answered;
    if (answer === null || answer === undefined) throw refused();
    const { success, data, error } = schema.safeParse(answer);
    if (!success) {
      const [issue] = error.issues;
      const at = issue?.path.join(".") || "answer";
      throw invalidArgument(at, issue?.message ?? "valid", "something else");
    }
    if (data.expiresAt !== undefined && data.expiresAt <= Date.now()) {
      throw unauthorized("expired", "The client's access has expired");
    }
    const { expiresAt, ...rest } = data;
    return { ...rest, ...(expiresAt !== undefined && { expiresAt }) };
  } catch (error) {
    if (error instanceof AgentVmError && error.code === "unauthorized") throw error;
    logger.error({ msg: "authorize failed", err: withoutToken(error, token) });
    throw refused();
  }
}

/** Returns an error of the user's function without the token, which its text may quote. */
function withoutToken(error: unknown, token: string | undefined): Error {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const shown = new Error(token === undefined || token === "" ? text : text.replaceAll(token, "[token]"));
  if (error instanceof Error && error.stack !== undefined) shown.stack = error.stack;
  return shown;
}
