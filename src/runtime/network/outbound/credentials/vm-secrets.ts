import { limitExceeded } from "../../../../api/errors.ts";
import { MAX_SECRETS } from "../../../../api/limits.ts";
import { type SecretInfo, secretsSchema, type VmSecret } from "../../../../api/methods/secrets.ts";
import { parseJson } from "../../../../base/json.ts";
import { loadOnce } from "../../../../base/load-once.ts";
import { Mutex } from "../../../../base/mutex.ts";
import type { Sealer } from "../../../../base/sealer.ts";
import { SECRETS_KEY } from "../../../store/keys.ts";
import type { VmServices } from "../../../vm-services.ts";
import { CredentialRules } from "./rules.ts";

type Secrets = Readonly<Record<string, VmSecret>>;

interface SecretsDeps extends Pick<VmServices, "store" | "onFailure"> {
  /** Encrypts stored secrets. Without it they end with the VM's instance. */
  sealer?: Sealer | undefined;
}

/** The secrets of one VM: its actor's option, and over it the secrets that were set at run time. */
export class VmSecrets {
  readonly #deps: SecretsDeps;
  readonly #headers: Readonly<Record<string, Record<string, string>>>;
  readonly #given: Secrets;
  /** Secrets that were set at run time. */
  #own: Secrets = {};
  #rules: CredentialRules;
  readonly #changes = new Mutex();

  /** Loads the stored secrets, once. */
  readonly load = loadOnce(() => this.#read());

  constructor(
    deps: SecretsDeps,
    { headers, secrets }: { headers: Readonly<Record<string, Record<string, string>>>; secrets: Secrets },
  ) {
    this.#deps = deps;
    this.#headers = headers;
    this.#given = secrets;
    this.#rules = this.#compile();
  }

  get rules(): CredentialRules {
    return this.#rules;
  }

  /** @throws AgentVmError `limit_exceeded`, `storage_failed`; nothing has then changed */
  async set(changes: Readonly<Record<string, VmSecret | null>>): Promise<void> {
    await this.load();
    await this.#changes.run(async () => {
      const kept = Object.entries({ ...this.#own, ...changes }).filter(([, secret]) => secret !== null);
      const own = Object.fromEntries(kept) as Secrets;
      if (Object.keys({ ...this.#given, ...own }).length > MAX_SECRETS)
        throw limitExceeded({ MAX_SECRETS }, "Secret limit of the VM reached", "Remove a secret first.");
      await this.#write(own);
      this.#own = own;
      this.#rules = this.#compile();
    });
  }

  /** Returns the secrets that were set at run time, with their values, for a fork. */
  async own(): Promise<Secrets> {
    await this.load();
    return this.#own;
  }

  async list(): Promise<SecretInfo[]> {
    await this.load();
    const isKept = this.#deps.sealer !== undefined;
    const names = Object.keys({ ...this.#given, ...this.#own }).sort();
    return names.map((name) => {
      const own = this.#own[name];
      const from = own === undefined ? "server" : "vm";
      return infoOf(name, (own ?? this.#given[name]) as VmSecret, from, own === undefined || isKept);
    });
  }

  #compile(): CredentialRules {
    return new CredentialRules(this.#headers, { ...this.#given, ...this.#own });
  }

  async #write(own: Secrets): Promise<void> {
    const { store, sealer } = this.#deps;
    if (sealer === undefined) return;
    if (Object.keys(own).length === 0) await store.delete([SECRETS_KEY]);
    else await store.put([[SECRETS_KEY, sealer.seal(SECRETS_KEY, Buffer.from(JSON.stringify(own)))]]);
  }

  async #read(): Promise<void> {
    const { store, sealer, onFailure } = this.#deps;
    if (sealer === undefined) return;
    const [kept] = await store.get([SECRETS_KEY]);
    if (kept === undefined) return;
    try {
      const own = secretsSchema.safeParse(parseJson(sealer.open(SECRETS_KEY, kept).toString()));
      if (!own.success) throw new Error("they have another format");
      this.#own = own.data;
      this.#rules = this.#compile();
    } catch (error) {
      // The VM goes on without them: a request then has no credential.
      onFailure(new Error(`The VM's stored secrets cannot be read: ${(error as Error).message}`));
    }
  }
}

function infoOf(name: string, secret: VmSecret, from: "server" | "vm", durable: boolean): SecretInfo {
  const { hosts, methods, paths, headers = {}, query = {}, basicUser, placeholderIn, mask = false } = secret;
  const carriedBy = [
    ...Object.keys(headers).map((header) => `header ${header}`),
    ...Object.keys(query).map((parameter) => `query ${parameter}`),
    ...(basicUser === undefined ? [] : ["basic"]),
  ];
  const parts = placeholderIn ?? (carriedBy.length > 0 ? [] : ["headers"]);
  return {
    name,
    hosts: [...hosts],
    ...(methods && { methods: [...methods] }),
    ...(paths && { paths: [...paths] }),
    carriedBy: [...carriedBy, ...parts.map((part) => `placeholder in ${part}`)],
    mask,
    from,
    durable,
  };
}
