import { z } from "zod";
import {
  MAX_NAMED_PREVIEW_SECONDS,
  MAX_PASSWORD_CHARS,
  MAX_PREVIEW_ORIGINS,
  MAX_PREVIEW_SECONDS,
} from "../limits.ts";
import { bool, id, options, port, WHOLE } from "../values.ts";
import { type CallsOf, methodsOf, takes } from "./method.ts";

const actorMethod = methodsOf("actor");
const method = methodsOf("network");

/** A URL that opens a port to a browser. */
export interface PreviewUrl {
  /** Path below the actor's gateway URL. */
  path: string;
  /** Bearer token of this URL. Returned once; the server keeps only its hash. */
  token: string;
  /** End of the URL's life, in milliseconds since the Unix epoch. */
  expiresAt: number;
  /** Port inside the VM. */
  port: number;
  /**
   * URL for a browser: a host name of the preview's own, `http://TOKEN-ACTOR.localhost:6420/` or below `previewDomain`; `pathUrl`
   * if the server has no host names for previews.
   */
  url: string;
  /** URL below the server's own: `SERVER/gateway/ACTOR/request/fetch/TOKEN/`. Needs no name but the server's. */
  pathUrl: string;
}

/** Options of `createPreview`. */
export interface PreviewOptions {
  /**
   * Name of the preview: lower-case letters, digits and dashes, at most 63, a letter first. A call with the name of a preview that
   * exists answers the same URL and replaces its port and options. @default no name: each call makes a URL
   */
  name?: string;
  /** Seconds until the URL ends, from 1 to 31,536,000. @default 3_600; 2_592_000 (30 days) with a name */
  expiresInSeconds?: number;
  /**
   * `"public"`: the URL alone opens the preview. `"token"`: a request also carries a token of the server that has the right
   * `network` for this VM, or the server's own. @default "public"
   */
  access?: "public" | "token";
  /**
   * A password that opens the preview: in a form for browsers, as Basic authentication for programs. With `access: "token"`
   * either opens it. @default no password
   */
  auth?: {
    /** Printable characters, from 8 to 256. The server stores only its hash (scrypt). */
    password: string;
  };
  /**
   * Pages of other origins that may read answers. `"*"`: all, without credentials, unless the app answers with CORS itself.
   * `"app"`: the pages that the app allows. A list of origins such as `"https://app.example"`: these, with credentials; the server
   * answers their preflights and drops the app's CORS headers. @default "*"
   */
  cors?: "*" | "app" | string[];
  /** `Host` header that the app gets. @default "localhost:PORT" */
  host?: string;
  /** Whether the server notes the preview's requests for `getPreviewLog` and the event `previewRequest`. @default false */
  log?: boolean;
}

/** A preview that `createPreview` has made. */
export interface Preview extends PreviewUrl {
  /** Id for `expireSignedPreviewUrl` and `getPreviewLog`. It opens nothing. */
  id: string;
  /** Name of the preview; absent without one. */
  name?: string;
}

/** A preview URL that has not expired. */
export interface PreviewInfo {
  /** Id for `expireSignedPreviewUrl` and `getPreviewLog`. It opens nothing. */
  id: string;
  /** Port inside the VM. */
  port: number;
  /** Time of creation, in milliseconds since the Unix epoch. */
  createdAt: number;
  /** End of the URL's life, in milliseconds since the Unix epoch. */
  expiresAt: number;
  /** Name of the preview; absent without one. */
  name?: string;
  /** `"public"`, or `"token"` if a token of the server opens the preview; absent for `"public"`. */
  access?: "public" | "token";
  /** `true` if a password opens the preview; absent without one. */
  hasPassword?: true;
  /** Pages that may read answers; absent for `"*"`. */
  cors?: "app" | string[];
  /** `Host` header that the app gets; absent for `localhost:PORT`. */
  host?: string;
  /** `true` if the server notes its requests; absent if not. */
  log?: true;
}

/** A request to a preview with `log`. */
export interface PreviewLogEntry {
  /** Id of the preview. */
  id: string;
  /** Name of the preview; absent without one. */
  name?: string;
  /** Port inside the VM. */
  port: number;
  /** Time of the request, in milliseconds since the Unix epoch. */
  time: number;
  /** HTTP method. */
  method: string;
  /** Path with query, at most 1,024 characters. */
  path: string;
  /** HTTP status of the answer, 101 for a WebSocket; absent if the browser left before it. */
  status?: number;
  /** Milliseconds from the request to the end of the answer. */
  ms: number;
}

const secondsTo = (maximum: number) => {
  const error = `${WHOLE}expiresInSeconds must be between 1 and ${maximum}`;
  return z.number({ error: "a number of seconds" }).min(1, { error }).max(maximum, { error });
};

const PASSWORD = `${WHOLE}auth.password must have from 8 to ${MAX_PASSWORD_CHARS} printable characters`;
const ORIGIN = 'origins such as "https://app.example"';
const CORS = `"*", "app", or an array of at most ${MAX_PREVIEW_ORIGINS} ${ORIGIN}`;

const origin = z
  .string({ error: ORIGIN })
  .refine((text) => URL.canParse(text) && new URL(text).origin === text, {
    error: ORIGIN,
  });

const previewOptions: z.ZodType<PreviewOptions | undefined> = options({
  name: z
    .string({ error: "a name" })
    .regex(/^[a-z][a-z0-9-]{0,62}$/, {
      error: "lower-case letters, digits and dashes, at most 63, a letter first",
    })
    .optional(),
  expiresInSeconds: secondsTo(MAX_NAMED_PREVIEW_SECONDS).optional(),
  access: z.enum(["public", "token"], { error: '"public" or "token"' }).optional(),
  // No message repeats what was received: it may be the password.
  auth: z
    .strictObject(
      {
        password: z
          .string({ error: PASSWORD })
          .regex(/^[^\p{Cc}\p{Cs}]+$/u, { error: PASSWORD })
          .min(8, { error: PASSWORD })
          .max(MAX_PASSWORD_CHARS, { error: PASSWORD }),
      },
      { error: `${WHOLE}auth must be { password }` },
    )
    .optional(),
  cors: z
    .union([z.enum(["*", "app"]), z.array(origin).min(1).max(MAX_PREVIEW_ORIGINS)], { error: CORS })
    .optional(),
  host: z
    .string({ error: "a host" })
    .regex(/^(?:[a-zA-Z0-9._-]{1,253}|\[[0-9a-fA-F:.]{2,45}\])(?::\d{1,5})?$/, {
      error: 'a host such as "app.test:3000"',
    })
    .optional(),
  log: bool.optional(),
}).optional();

/** Methods of preview URLs. */
export const PREVIEW_METHODS = {
  /**
   * Creates a URL that opens a port to a browser, without any other credential. A VM has at most 1,024 preview URLs.
   *
   * @param port port inside the VM
   * @param expiresInSeconds life of the URL, from 1 to 86,400 seconds. @default 3_600
   * @throws AgentVmError `limit_exceeded`
   */
  createSignedPreviewUrl: actorMethod<(port: number, expiresInSeconds?: number) => Promise<PreviewUrl>>()({
    right: "network",
    input: takes(["port", port], ["expiresInSeconds", secondsTo(MAX_PREVIEW_SECONDS).optional()]),
  }),
  /**
   * Creates a URL that opens a port, with a name, a password or other options. With a name, the next call answers the same URL,
   * also after a restart of the server.
   *
   * @param port port inside the VM
   * @param options name, life, password, CORS, `Host` header and log. @default {}
   * @throws AgentVmError `limit_exceeded`; `invalid_argument`, which never repeats a password; `not_supported` for a name behind
   * a Rivet Engine without `AGENT_VM_SECRET`
   * @example
   * ```ts
   * const { url } = await agent.createPreview(3000, { name: "shop", auth: { password: "correct horse" } });
   * ```
   */
  createPreview: actorMethod<(port: number, options?: PreviewOptions) => Promise<Preview>>()({
    right: "network",
    input: takes(["port", port], ["options", previewOptions]),
  }),
  /**
   * Closes a preview URL and every connection through it. An unknown token does nothing. The URL never opens again, even if its
   * name is used again.
   *
   * @param preview token or name of the preview, or its id from `listPreviews`
   * @throws AgentVmError `invalid_argument`
   */
  expireSignedPreviewUrl: method<(preview: string) => Promise<void>>()({
    right: "network",
    input: takes(["token", id]),
  }),
  /** Lists the preview URLs that have not expired, with their options, without tokens and passwords. */
  listPreviews: method<() => Promise<PreviewInfo[]>>()({ right: "network", input: takes(), reads: true }),
  /**
   * Returns the newest 1,000 requests to previews with `log` since the VM's actor woke, oldest first.
   *
   * @param preview id or name of a preview. @default all previews
   * @throws AgentVmError `invalid_argument`
   */
  getPreviewLog: method<(preview?: string) => Promise<PreviewLogEntry[]>>()({
    right: "network",
    input: takes(["preview", id.optional()]),
    reads: true,
  }),
};

export type PreviewMethods = CallsOf<typeof PREVIEW_METHODS>;
