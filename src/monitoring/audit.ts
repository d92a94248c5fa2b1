import { z } from "zod";
import { AgentVmError } from "../api/errors.ts";
import { printable } from "../base/printable.ts";
import { AuditFile } from "./audit-file.ts";

/** The sender of a call. */
export interface AuditActor {
  /**
   * `server`: the server's token. `token`: a token that the server has made. `user`: a client that `authorize` let in.
   * `anyone`: the server asks for no token. `stranger`: a client without access.
   */
  kind: "server" | "token" | "user" | "anyone" | "stranger";
  /** Id of the token. */
  tokenId?: string;
  /** Identity that `authorize` returned. */
  identity?: unknown;
}

/** One call of a method of a VM, or of `client.tokens`. */
export interface AuditEvent {
  /** Time of the call's end, in ISO 8601. */
  at: string;
  /** Sender of the call. */
  who: AuditActor;
  /** Name of the VM's actor in `use`; `undefined` for methods of `client.tokens`. */
  actor?: string;
  /** Key of the VM; `undefined` for methods of `client.tokens`. */
  vm?: readonly string[];
  /** Id of the token that a method of `client.tokens` made, renewed or revoked. */
  token?: string;
  /** Name of the method: `"exec"`, `"tokens.create"`. */
  method: string;
  /** `"ok"`, or the error's code. */
  outcome: string;
  /** Duration of the call in milliseconds. */
  durationMs: number;
  /** Number of requests that the event stands for. Only strangers have it: each outcome is told once a second. */
  count?: number;
  /** The command line and the paths of the call, or VMs and rights of a new token, if the audit has `details`. */
  details?: Readonly<Record<string, unknown>>;
}

/** Where the audit goes: `{ file }` appends a line of JSON for each call, a function receives each call. */
export type AuditOption =
  | {
      /** Path of the file. It may be rotated: the server makes it again. Mode 0600. */
      file: string;
      /** Adds command lines and paths, and the VMs and rights of new tokens. @default false */
      details?: boolean;
    }
  | {
      /** Receives each call. */
      onEvent(event: AuditEvent): void;
      /** Adds command lines and paths, and the VMs and rights of new tokens. @default false */
      details?: boolean;
    }
  | ((event: AuditEvent) => void);

/** Arguments that `details` adds. Content, environment variables and prompts are never among them. */
const DETAILS = [
  ...["command", "args", "path", "paths", "from", "to", "directory", "target"],
  ...["vms", "may", "expiresIn"],
];

const optionSchema = z.union([
  z.strictObject({ file: z.string().min(1), details: z.boolean().optional() }),
  z.strictObject({
    onEvent: z.custom<(event: AuditEvent) => void>((value) => typeof value === "function"),
    details: z.boolean().optional(),
  }),
  z.custom<(event: AuditEvent) => void>((value) => typeof value === "function"),
]);

/** @throws AgentVmError `invalid_argument` */
export function checkAudit(option: unknown): void {
  if (option === undefined || optionSchema.safeParse(option).success) return;
  throw new AgentVmError(
    "invalid_argument",
    "Expected `audit` to be { file, details? }, { onEvent, details? } or a function",
    { argument: "audit" },
  );
}

/** Writes down who has called which method of which VM. */
export class Audit {
  readonly #write: (event: AuditEvent) => void;
  readonly #hasDetails: boolean;
  readonly #onFailure: (error: unknown) => void;

  /** @param onFailure receives the error of a file or of the user's function; no call fails with it */
  constructor(option: AuditOption, onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
    const given = typeof option === "function" ? { onEvent: option } : option;
    this.#hasDetails = given.details ?? false;
    if ("file" in given) {
      const file = new AuditFile(given.file, onFailure);
      this.#write = (event) => file.write(`${printable(JSON.stringify(event))}\n`);
    } else this.#write = (event) => given.onEvent(event);
  }

  /** @param names names of the method's arguments */
  called(event: AuditEvent, names: readonly string[], args: readonly unknown[]): void {
    try {
      const details = names.flatMap((name, index) =>
        DETAILS.includes(name) && args[index] !== undefined ? [[name, args[index]]] : [],
      );
      this.#write(this.#hasDetails ? { ...event, details: Object.fromEntries(details) } : event);
    } catch (error) {
      this.#onFailure(error);
    }
  }
}
