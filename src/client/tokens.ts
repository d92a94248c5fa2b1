import type { CreateTokenOptions, IssuedToken, ListTokensOptions, TokenPage } from "../api/tokens.ts";
import type { Server } from "./rivet/config.ts";
import { askServer } from "./server-request.ts";
import { checkJson } from "./wire.ts";

/** The tokens of a server. A client with the server's token, or with a token that may `admin`, makes and ends them. */
export interface TokensAccessor {
  /**
   * Makes a token that reaches only these VMs and does only this with them, for example for a browser.
   *
   * @param options `vms`, `may`, `expiresIn`, `label` and `actors`
   * @returns the token, its id and its end
   * @throws AgentVmError `invalid_argument`; `forbidden` if this client may not do itself what the token may;
   * `limit_exceeded` when the server has 100,000 tokens
   * @example
   * ```ts
   * const { token } = await client.tokens.create({ vms: "alice", may: ["terminal", "files"], expiresIn: 900 });
   * // In the browser:
   * const vm = createClient<typeof registry>({ endpoint, token }).vm.get("alice");
   * ```
   */
  create(options: CreateTokenOptions): Promise<IssuedToken>;
  /**
   * Lists tokens that have not expired and are not revoked, oldest first, page by page. Never the tokens themselves. A
   * client without the server's token sees tokens within its own reach.
   *
   * @param options `limit` and `cursor`. @default the first 100 tokens
   * @throws AgentVmError `forbidden`
   */
  list(options?: ListTokensOptions): Promise<TokenPage>;
  /**
   * Ends a token now, and all tokens that were made with it. Open connections with it close with `unauthorized`. Previews
   * that were made with it last until they expire.
   *
   * @param id id that `create` returned
   * @throws AgentVmError `token_not_found`; `forbidden`
   */
  revoke(id: string): Promise<void>;
  /**
   * Makes a token last its whole time from now. It keeps its id and gets new text. The old text works until it expires.
   *
   * @param id id that `create` returned. @default the token of this client, which needs the right `admin`
   * @throws AgentVmError `token_not_found`; `forbidden`
   */
  renew(id?: string): Promise<IssuedToken>;
}

/** Makes the methods of `client.tokens`. */
export function tokensOf(server: Server): TokensAccessor {
  const ask = async (method: string, ...args: unknown[]) => {
    checkJson(`tokens.${method}`, args);
    return await askServer(server, { method: "POST", path: `tokens/${method}`, body: args });
  };
  return {
    create: async (options) => (await ask("create", options)) as IssuedToken,
    list: async (options = {}) => (await ask("list", options)) as TokenPage,
    revoke: async (id) => void (await ask("revoke", id)),
    renew: async (id) => (await ask("renew", ...(id === undefined ? [] : [id]))) as IssuedToken,
  };
}
