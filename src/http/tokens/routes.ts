import type { IncomingMessage } from "node:http";
import { AgentVmError, invalidArgument } from "../../api/errors.ts";
import type { Input } from "../../api/methods/method.ts";
import { parseInput } from "../../api/methods/parse.ts";
import {
  CREATE_TOKEN_INPUT,
  LIST_TOKENS_INPUT,
  RENEW_TOKEN_INPUT,
  REVOKE_TOKEN_INPUT,
} from "../../api/tokens.ts";
import { parseJson } from "../../base/json.ts";
import { readAtMost } from "../../base/read-at-most.ts";
import type { EndedCall } from "../../monitoring/monitor.ts";
import { errorOf } from "../../rivet/user-error.ts";
import type { Grant } from "../grant.ts";
import type { Route } from "../http-gate.ts";
import { MAX_TOKEN_REQUEST_BYTES } from "../limits.ts";
import type { Tokens } from "./tokens.ts";

/** A call of a method of `client.tokens`, as the monitor takes it. */
type TokenCall = Omit<EndedCall, "who">;

interface Method<Args extends readonly unknown[], Result> {
  input: Input<Args>;
  run(tokens: Tokens, grant: Grant, ...args: Args): Promise<Result>;
  /** Finds the token that the call is about. */
  subject?(grant: Grant, args: Args, result: Result | undefined): string | undefined;
  /** Arguments that the audit may show. */
  shown?(...args: Args): Record<string, unknown>;
}

/**
 * Makes the answers to the methods of `client.tokens`, each a POST with its arguments as a JSON array.
 *
 * @param tokens the tokens of the server; `undefined` before it has a data folder
 * @param onCall receives each call that has ended, with the id of its token
 */
export function tokenRoutes(
  tokens: () => Tokens | undefined,
  onCall: (grant: Grant, token: string | undefined, call: TokenCall) => void,
): Record<string, Route> {
  const route = <Args extends readonly unknown[], Result>(
    name: string,
    { input, run, subject, shown }: Method<Args, Result>,
  ): Record<string, Route> => ({
    [`POST /tokens/${name}`]: async (request, grant) => {
      const startedAt = performance.now();
      const method = `tokens.${name}`;
      let args: Args | undefined;
      let result: Result | undefined;
      let error: EndedCall["error"];
      try {
        const open = tokens();
        if (open === undefined) throw noTokens();
        args = parseInput(method, input, await bodyOf(request));
        result = await run(open, grant, ...args);
        return result;
      } catch (thrown) {
        error = errorOf(thrown);
        throw thrown;
      } finally {
        const details = (args && shown?.(...args)) ?? {};
        onCall(grant, args && subject?.(grant, args, result), {
          method,
          names: Object.keys(details),
          args: Object.values(details),
          error,
          ms: performance.now() - startedAt,
        });
      }
    },
  });
  return {
    ...route("create", {
      input: CREATE_TOKEN_INPUT,
      run: (open, grant, options) => open.create(grant, options),
      subject: (_grant, _args, issued) => issued?.id,
      shown: ({ vms, may, expiresIn }) => ({ vms, may, expiresIn }),
    }),
    ...route("list", { input: LIST_TOKENS_INPUT, run: (open, grant, query) => open.list(grant, query) }),
    ...route("revoke", {
      input: REVOKE_TOKEN_INPUT,
      run: (open, grant, id) => open.revoke(grant, id),
      subject: (_grant, [id]) => id,
    }),
    ...route("renew", {
      input: RENEW_TOKEN_INPUT,
      run: (open, grant, id) => open.renew(grant, id),
      subject: (grant, [id = grant.tokenId]) => id,
    }),
  };
}

/** Returns the error of a server that makes no tokens: behind an engine that is a server without a secret. */
export function noTokens(): AgentVmError {
  return new AgentVmError("not_supported", "This server makes no tokens", {
    hint: "Set AGENT_VM_SECRET to one secret on all servers behind the engine.",
  });
}

/** Returns the name of the method that a route answers; `undefined` for a route that is not about tokens. */
export function tokenMethodOf(route: string): string | undefined {
  const name = /^POST \/tokens\/(create|list|revoke|renew)$/.exec(route)?.[1];
  return name && `tokens.${name}`;
}

/** @throws AgentVmError `invalid_argument` if the body is not a JSON array of a moderate size */
async function bodyOf(request: IncomingMessage): Promise<unknown[]> {
  // The answer leaves on the same socket, so the loop must not destroy the request.
  const body = await readAtMost(request.iterator({ destroyOnReturn: false }), MAX_TOKEN_REQUEST_BYTES);
  if (body === undefined)
    throw invalidArgument("arguments", `at most ${MAX_TOKEN_REQUEST_BYTES} bytes`, undefined);
  const args = parseJson(body.toString());
  if (Array.isArray(args)) return args;
  throw invalidArgument("arguments", "a JSON array", args);
}
