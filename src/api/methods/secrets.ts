import { z } from "zod";
import { MAX_SECRET_BYTES, MAX_SECRET_HOSTS, MAX_SECRET_PARTS, MAX_SECRETS } from "../limits.ts";
import { parseSecretHost } from "../network-rule.ts";
import { WHOLE } from "../values.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";

const method = methodsOf("network");

/** Part of a request in which a placeholder is replaced. */
export type SecretPart = "headers" | "query" | "body";

/**
 * A secret for requests of a VM's programs. The server adds it on the way out; its value never enters the VM.
 *
 * @example
 * ```ts
 * const secret: VmSecret = {
 *   value: process.env.API_KEY ?? "",
 *   hosts: ["api.example.com"],
 *   methods: ["POST"],
 *   paths: ["/v1/messages"],
 *   headers: { authorization: "Bearer {secret}" },
 * };
 * ```
 */
export interface VmSecret {
  /** Value: printable characters of Latin-1, at most 8,192. No method returns it. */
  value: string;
  /**
   * Hosts that get the secret: `"api.example.com"` is https on port 443, `"*.example.com"` every name below,
   * `"api.example.com:8443"`, `"http://intranet.example:8080"`. At most 16. `outbound` must allow them too.
   */
  hosts: string[];
  /** Methods of requests that get it, such as `["POST"]`. @default every method */
  methods?: string[];
  /** Paths of requests that get it: `"/v1/messages"`, or `"/v1/*"` for everything below. @default every path */
  paths?: string[];
  /** Headers that the server sets, in place of the program's. `{secret}` stands for the value. @default {} */
  headers?: Record<string, string>;
  /** Query parameters that the server sets, in place of the program's. `{secret}` stands for the value. @default {} */
  query?: Record<string, string>;
  /** User of HTTP basic authentication, whose password is the value. @default no basic authentication */
  basicUser?: string;
  /**
   * Parts of a request in which the server replaces the placeholder `AGENT_SECRET_NAME` by the value. Commands have the
   * placeholder in the variable `NAME`. A body is searched up to 1 MiB. @default [] with `headers`, `query` or
   * `basicUser`; ["headers"] without
   */
  placeholderIn?: SecretPart[];
  /** Writes asterisks over the value if a response repeats it. @default false */
  mask?: boolean;
}

/** A secret of a VM without its value. */
export interface SecretInfo {
  /** Name of the secret. */
  name: string;
  /** Hosts that get it. */
  hosts: string[];
  /** Methods of requests that get it; absent for all. */
  methods?: string[];
  /** Paths of requests that get it; absent for all. */
  paths?: string[];
  /** Names of the headers, query parameters and placeholders' parts that carry it. */
  carriedBy: string[];
  /** Whether responses are masked. */
  mask: boolean;
  /** `server`: an option of the actor. `vm`: set by `setSecrets`. */
  from: "server" | "vm";
  /** `true` if the secret outlives a sleep of the VM: an option, or stored encrypted. */
  durable: boolean;
}

// A message that stands for itself never repeats what was received: it may be the secret.
const whole = (text: string) => ({ error: `${WHOLE}${text}` });

/** Shorter values stand in responses by chance. */
const MIN_MASKED = 8;

const TOKEN = /^[!#$%&'*+.^_`|~\w-]+$/;
const FIELD = /^[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?$/;

/** Headers that say where a message ends and goes. */
const FRAMING =
  /^(?:host|connection|content-length|transfer-encoding|te|trailer|upgrade|expect|keep-alive|proxy-.*)$/i;

const part = z
  .string(whole("A part of a secret's header or parameter must be a string"))
  .regex(FIELD, whole("A part of a secret must have printable characters of Latin-1 only"))
  .max(MAX_SECRET_BYTES, whole(`A part of a secret has at most ${MAX_SECRET_BYTES} characters`));

const named = (name: RegExp, what: string) =>
  z
    .record(z.string().regex(name), part, whole(`${what} must be an object of names and strings`))
    .refine(
      (given) => Object.keys(given).length <= MAX_SECRET_PARTS,
      whole(`${what} has at most ${MAX_SECRET_PARTS} entries`),
    );

const list = (item: z.ZodString, text: string) =>
  z
    .array(item, whole(text))
    .min(1, whole(text))
    .max(MAX_SECRET_HOSTS, whole(`${text}, at most ${MAX_SECRET_HOSTS}`));

const HOSTS = 'hosts must be names, addresses or origins, such as "api.example.com" or "*.example.com:8443"';
const METHODS = 'methods must be names of HTTP methods, such as "POST"';
const PATHS = 'paths must begin with a slash and may end with "/*", such as "/v1/messages"';

// No message of it repeats what it has received.
const secret: z.ZodType<VmSecret, VmSecret> = z
  .strictObject(
    {
      value: part,
      hosts: list(z.string(whole(HOSTS)), HOSTS).refine(
        (hosts) => hosts.every((host) => parseSecretHost(host) !== undefined),
        whole(HOSTS),
      ),
      methods: list(
        z.string(whole(METHODS)).regex(/^[A-Z][A-Z_-]{0,31}$/, whole(METHODS)),
        METHODS,
      ).optional(),
      paths: list(
        z.string(whole(PATHS)).regex(/^\/[\x21-\x22\x24-\x29\x2b-\x3e\x40-\x7e]{0,1023}\*?$/, whole(PATHS)),
        PATHS,
      ).optional(),
      headers: named(TOKEN, "headers")
        .refine(
          (headers) => !Object.keys(headers).some((name) => FRAMING.test(name)),
          whole(
            "headers of a secret cannot be host, content-length, connection or another header of the connection",
          ),
        )
        .optional(),
      query: named(/^[^\s&=#]{1,256}$/, "query").optional(),
      basicUser: z
        .string(whole("basicUser must be a string"))
        .regex(
          /^[\x20-\x39\x3b-\x7e]{0,256}$/,
          whole("basicUser has printable ASCII without a colon, at most 256"),
        )
        .optional(),
      placeholderIn: z
        .array(z.enum(["headers", "query", "body"]), whole('placeholderIn has "headers", "query" or "body"'))
        .max(3, whole('placeholderIn has "headers", "query" or "body"'))
        .optional(),
      mask: z.boolean(whole("mask must be a boolean")).optional(),
    },
    // Not the text of other schemas, which shows what it has received: somebody may pass the value itself.
    {
      error: (issue) =>
        issue.code === "unrecognized_keys" ? undefined : `${WHOLE}A secret must be an object`,
    },
  )
  .refine(
    ({ mask, value }) => mask !== true || value.length >= MIN_MASKED,
    whole(`mask needs a value of at least ${MIN_MASKED} characters`),
  );

const name = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,63}$/);
const SECRETS = "secrets must be an object of secrets; a name has letters, digits and _, at most 64";

/** Schema of the secrets of an actor's option. */
export const secretsSchema = z
  .record(name, secret, whole(SECRETS))
  .refine(
    (given) => Object.keys(given).length <= MAX_SECRETS,
    whole(`A VM has at most ${MAX_SECRETS} secrets`),
  );

const changes: z.ZodType<Record<string, VmSecret | null>> = z
  .record(name, secret.nullable(), whole(SECRETS))
  .refine(
    (given) => Object.keys(given).length <= MAX_SECRETS,
    whole(`A VM has at most ${MAX_SECRETS} secrets`),
  );

/** Methods for secrets that the server adds to requests on their way out. */
export const SECRET_METHODS = {
  /**
   * Sets secrets that the server adds to requests of the VM's programs, also to encrypted ones. Secrets of other names stay;
   * `null` removes one. They apply to the next request. The server stores them encrypted, with a key of its own; behind a
   * Rivet Engine without `secret` it does not store them, and they end when the VM sleeps. Snapshots have no secrets, and forks only with `fork(key, { secrets: true })`.
   *
   * @param secrets secrets by name, at most 32 in all. A name is that of a variable: letters, digits and `_`
   * @throws AgentVmError `invalid_argument`, which never repeats a value; `limit_exceeded`
   * @example
   * ```ts
   * await agent.setSecrets({
   *   ANTHROPIC_API_KEY: { value: key, hosts: ["api.anthropic.com"], headers: { "x-api-key": "{secret}" } },
   * });
   * ```
   */
  setSecrets: method<(secrets: Record<string, VmSecret | null>) => Promise<void>>()({
    right: "admin",
    input: takes(["secrets", changes]),
  }),
  /** Lists the secrets that the server adds to requests, without their values, by name. */
  listSecrets: method<() => Promise<SecretInfo[]>>()({ right: "network", input: takes(), reads: true }),
};

export type SecretMethods = CallsOf<typeof SECRET_METHODS>;
