import { z } from "zod";
import { MAX_ASK_TIMEOUT_MS, MAX_NETWORK_RULES, NETWORK_ASK_TIMEOUT_MS } from "./limits.ts";
import { secretsSchema } from "./methods/secrets.ts";
import { canonicalHost, parseNetworkRule } from "./network-rule.ts";
import { options } from "./values.ts";

const rule = z.string({ error: "a rule" }).refine((text) => parseNetworkRule(text) !== undefined, {
  error: 'a host, "*.domain", address or range, with ":port" or without, e.g. "api.example.com:443"',
});

const rules = z
  .array(rule, { error: "an array of rules" })
  .max(MAX_NETWORK_RULES, { error: `at most ${MAX_NETWORK_RULES} rules` });

/** Schema of an outbound policy: hosts outside that programs of a VM may reach. */
export const outboundSchema = z.union(
  [
    z.enum(["none", "all"]),
    options({
      /** Rules that open hosts, at most 256, such as `"*.example.com:443"`. */
      allow: rules,
      /**
       * Rules of hosts whose connections wait for an answer of `onNetworkRequest` or `answerNetworkRequest`, at most 256. `allow`
       * wins over them. @default []
       */
      ask: rules.optional(),
      /** Rules that close hosts again, at most 256. They win over `allow` and `ask`. @default [] */
      deny: rules.optional(),
    }),
  ],
  {
    error: (issue) => {
      const inner = issue.code === "invalid_union" ? issue.errors.at(-1)?.[0] : undefined;
      return inner !== undefined && typeof issue.input === "object"
        ? `${inner.path.join(".")}: ${inner.message}`
        : '"none", "all" or { allow, ask?, deny? }';
    },
  },
);

/** Origin of a server: `host` (short for `https://host`), `https://host:port` or `http://host:port`. */
const origin = z.string().refine(
  (text) => {
    const url = text.includes("://") ? text : `https://${text}`;
    if (!/^https?:\/\/[^/?#@\s]+$/.test(url) || !URL.canParse(url)) return false;
    return canonicalHost(new URL(url).hostname) !== undefined;
  },
  { error: 'must have hosts or origins for names, e.g. "api.example.com" or "http://intranet.example:8080"' },
);

const header = z.record(
  z.string().regex(/^[!#$%&'*+.^_`|~\w-]+$/, "must be a header's name"),
  z.string().regex(/^[\t\x20-\x7e\x80-\xff]*$/, "must be a header's value"),
);

/** Schema of the `network` option of `vmActor()`. */
export const networkSchema = z.strictObject({
  /** Hosts outside that programs of a VM may reach, through the server's proxy. @default "none" */
  outbound: outboundSchema.default("none"),
  /** Milliseconds in which a question of a rule of `ask` must be answered. Without an answer the connection is denied. */
  askTimeoutMs: z.int().min(1).max(MAX_ASK_TIMEOUT_MS).default(NETWORK_ASK_TIMEOUT_MS),
  /** Limits of what programs of one VM send and receive outside. Without them there are none. */
  limits: z
    .strictObject({
      /** Bytes in a second, out and in together. Connections wait. */
      bytesPerSecond: z.int().min(1_024).optional(),
      /** Bytes since the VM's creation, out and in together, as `usage()` counts them. Connections are then cut and denied. */
      totalBytes: z.int().positive().optional(),
      /** Connections in a minute. Further ones are denied. */
      connectionsPerMinute: z.int().positive().max(1_000_000).optional(),
    })
    .prefault({}),
  /** Headers that the server adds to requests for an origin. Credentials in them never enter the VM. @default {} */
  headers: z.record(origin, header).default({}),
  /** Secrets by name that the server adds to requests of every VM, see docs/networking.md. At most 32. @default {} */
  secrets: secretsSchema.default({}),
  /**
   * Certificates in PEM of authorities that the server trusts besides its own, for hosts to which it speaks TLS itself.
   * @default none
   */
  ca: z.string().includes("-----BEGIN CERTIFICATE-----", { error: "must be certificates in PEM" }).optional(),
});
