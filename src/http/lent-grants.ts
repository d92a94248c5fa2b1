import { randomBytes } from "node:crypto";
import type { Grant } from "./grant.ts";

const PREFIX = "lent_";

/** Grants of admitted requests that the server itself acts on, as a client of its own API. Each has a token of this process. */
export class LentGrants {
  readonly #grants = new Map<string, Grant>();

  /** Lends a grant. @returns a token that admits with this grant until it is given back */
  lend(grant: Grant): string {
    const token = PREFIX + randomBytes(32).toString("base64url");
    this.#grants.set(token, grant);
    return token;
  }

  /** Replaces the grant of a token by that of a later request. */
  renew(token: string, grant: Grant): void {
    if (this.#grants.has(token)) this.#grants.set(token, grant);
  }

  giveBack(token: string): void {
    this.#grants.delete(token);
  }

  /** Returns the grant of the first token that has one. */
  find(presented: readonly string[]): Grant | undefined {
    return presented.map((token) => this.#grants.get(token)).find((grant) => grant !== undefined);
  }
}
