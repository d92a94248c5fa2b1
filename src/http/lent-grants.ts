import { randomBytes } from "node:crypto";
import type { AuthorizeRequest } from "./authorize.ts";
import type { Grant } from "./grant.ts";

const PREFIX = "lent_";

/** Sender of the request that a grant was made for, as `authorize` sees it. */
export type Sender = Pick<AuthorizeRequest, "headers" | "token">;

export interface Lent {
  grant: Grant;
  sender: Sender;
}

/** Grants of admitted requests that the server itself acts on, as a client of its own API. Each has a token of this process. */
export class LentGrants {
  readonly #grants = new Map<string, Lent>();

  /** Lends a grant. @returns a token that admits with this grant until it is given back */
  lend(grant: Grant, sender: Sender): string {
    const token = PREFIX + randomBytes(32).toString("base64url");
    this.#grants.set(token, { grant, sender });
    return token;
  }

  /** Replaces the grant of a token by that of a later request. */
  renew(token: string, grant: Grant, sender: Sender): void {
    if (this.#grants.has(token)) this.#grants.set(token, { grant, sender });
  }

  giveBack(token: string): void {
    this.#grants.delete(token);
  }

  /** Returns the grant of the first token that has one. */
  find(presented: readonly string[]): Lent | undefined {
    return presented.map((token) => this.#grants.get(token)).find((lent) => lent !== undefined);
  }
}
