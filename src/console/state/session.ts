import {
  createClient,
  type Right,
  type TokensAccessor,
  type VmAccessor,
  type VmHandle,
} from "../../client/index.ts";

/** The part of a token that the console shows or obeys. The server alone checks it. */
interface Claims {
  may: Right[];
  /** End of the token, in milliseconds since the Unix epoch. */
  expiresAt: number;
}

/** A client whose actors are known by name only. */
interface Client {
  readonly tokens: TokensAccessor;
  dispose(): Promise<void>;
}

const connect = createClient as unknown as (options: { endpoint: string; token: string }) => Client;

/** Part of a token's life after which an open page renews it. */
const RENEW_AT = 0.5;

const meta = (name: string) => document.querySelector<HTMLMetaElement>(`meta[name="agent-vm-${name}"]`);

/** A login: a client with a token, and what the token may do. */
export class Session {
  readonly names: string[];
  readonly #claims: Claims;
  #client: Client;
  #token: string;
  #isOver = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Called when handles of the session have been replaced, because connections end with the token that they began with. */
  onRenewed: () => void = () => undefined;

  constructor(token: string) {
    this.#token = token;
    this.names = JSON.parse(meta("names")?.content ?? "[]") as string[];
    this.#claims = claimsOf(token);
    this.#client = this.#connect();
    this.#planRenewal(this.#claims.expiresAt);
  }

  /** Returns the VMs of one actor name. */
  vms(name: string): VmAccessor {
    return (this.#client as unknown as Record<string, VmAccessor>)[name] as VmAccessor;
  }

  vm(name: string, key: string[]): VmHandle {
    return this.vms(name).get(key);
  }

  /** Whether the token has a right. The server decides; the console hides what would be refused. */
  may(right: Right): boolean {
    return this.#claims.may.includes("admin") || this.#claims.may.includes(right);
  }

  /** Whether the token only looks. */
  get isReadOnly(): boolean {
    return this.#claims.may.every((right) => right === "read");
  }

  /** Whether the token sees what a right of a domain guards, or may only read. */
  sees(right: Right): boolean {
    return this.may(right) || (this.may("read") && right !== "terminal");
  }

  /** Ends the connections of a login that no longer counts. */
  drop(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    // The pages have let go of its connections by then.
    setTimeout(() => void this.#client.dispose(), 5_000);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#timer);
    await this.#client.dispose();
    // The server revokes the token, so that no copy of it lasts.
    const headers = { authorization: `Bearer ${this.#token}` };
    await fetch("/console/logout", { method: "POST", headers }).catch(() => undefined);
  }

  #connect(): Client {
    return connect({ endpoint: location.origin, token: this.#token });
  }

  /** Renews a token that may do so, and keeps it for a reload. */
  #planRenewal(expiresAt: number): void {
    if (this.#isOver || !this.may("admin") || !Number.isFinite(expiresAt)) return;
    const wait = Math.max(30_000, (expiresAt - Date.now()) * RENEW_AT);
    this.#timer = setTimeout(async () => {
      try {
        const renewed = await this.#client.tokens.renew();
        if (this.#isOver) return;
        this.#token = renewed.token;
        await login(renewed.token);
        const earlier = this.#client;
        this.#client = this.#connect();
        this.onRenewed();
        // The pages have let go of its connections by then.
        setTimeout(() => void earlier.dispose(), 5_000);
        this.#planRenewal(renewed.expiresAt);
      } catch {
        // The server is away, or the token has ended: the next try, or the next call, finds out.
        this.#planRenewal(Math.max(expiresAt, Date.now() + 60_000));
      }
    }, wait);
  }
}

/**
 * Trades a token for the token of the console: for the server's own token a token that ends soon, else the same.
 *
 * @throws Error with the server's words if the token is refused
 */
export async function login(token: string): Promise<string> {
  const response = await fetch("/console/login", {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
  });
  const answer = (await response.json()) as { token?: string; message?: string };
  if (!response.ok || answer.token === undefined) throw new Error(answer.message ?? response.statusText);
  return answer.token;
}

/** Takes the token that the document carries. Afterwards the document has no token. */
export function takeToken(): string | undefined {
  const element = meta("token");
  const token = element?.content;
  element?.remove();
  return token || undefined;
}

/** Whether the browser keeps a login over a reload. */
export function keepsLogin(): boolean {
  return meta("keeps")?.content === "true";
}

/** Reads a token of the server. A token of another kind says nothing, so the console offers everything. */
function claimsOf(token: string): Claims {
  try {
    const body = token.split(".")[1] ?? "";
    const { may, exp } = JSON.parse(atob(body.replaceAll("-", "+").replaceAll("_", "/"))) as {
      may?: Right[];
      exp?: number;
    };
    if (Array.isArray(may)) return { may, expiresAt: (exp ?? Number.POSITIVE_INFINITY) * 1000 };
  } catch {
    // A token of the user's own check.
  }
  return { may: ["admin"], expiresAt: Number.POSITIVE_INFINITY };
}
