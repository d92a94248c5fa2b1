import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { invalidArgument } from "../api/errors.ts";
import type { Quota } from "../directory/quota.ts";
import { MAX_DRAIN_MS } from "./limits.ts";
import type { PeerOptions } from "./peers/options.ts";

/** Largest number of VMs that are booted ahead, as in the option `pool`. */
const MAX_POOL_SIZE = 64;

/** Options of the ready-made server. */
export interface Environment {
  host: string;
  port: number;
  dataDir: string;
  token: string | undefined;
  secret: string | undefined;
  allowedOrigins: string[];
  publicUrl: string | undefined;
  previewDomain: string | undefined;
  runtime: "kernel" | "memory";
  /** Whether the server has a console. */
  console: boolean;
  /** VMs that are booted ahead. @default the default of the option `pool` */
  pool: number | undefined;
  quota: Quota;
  /** How the servers behind a Rivet Engine reach each other. */
  peers: PeerOptions | undefined;
  /** Whether the server runs VMs. */
  vms: boolean;
  /** Longest wait for running calls when the server shuts down. @default DRAIN_TIMEOUT_MS */
  drainMs: number | undefined;
  /** File of the audit. */
  auditFile: string | undefined;
  /** Whether the audit has command lines and paths. */
  auditDetails: boolean;
}

/**
 * Reads the options of the ready-made server from environment variables: see docs/configuration.md.
 *
 * @throws AgentVmError `invalid_argument` with the name of the variable.
 */
export function readEnvironment(env: NodeJS.ProcessEnv): Environment {
  const port = env.PORT || "6420";
  if (!/^\d{1,5}$/.test(port)) throw invalidArgument("PORT", "a port from 1 to 65535", port);
  const runtime = env.AGENT_VM_RUNTIME || "kernel";
  if (runtime !== "kernel" && runtime !== "memory") {
    throw invalidArgument("AGENT_VM_RUNTIME", '"kernel" or "memory"', runtime);
  }
  return {
    host: env.HOST || "127.0.0.1",
    port: Number(port),
    dataDir: resolve(env.AGENT_VM_DATA || join(stateHome(env), "agent-vm")),
    token: env.AGENT_VM_TOKEN || undefined,
    secret: env.AGENT_VM_SECRET || undefined,
    allowedOrigins: (env.AGENT_VM_ALLOWED_ORIGINS ?? "").split(/[\s,]+/).filter(Boolean),
    publicUrl: env.AGENT_VM_PUBLIC_URL || undefined,
    previewDomain: env.AGENT_VM_PREVIEW_DOMAIN || undefined,
    runtime,
    console: flagIn(env, "AGENT_VM_CONSOLE", "1"),
    pool: numberIn(env, "AGENT_VM_POOL", MAX_POOL_SIZE),
    quota: {
      maxVms: numberIn(env, "AGENT_VM_MAX_VMS"),
      maxAwake: numberIn(env, "AGENT_VM_MAX_AWAKE"),
      maxStoredBytes: numberIn(env, "AGENT_VM_MAX_STORED_BYTES"),
    },
    peers: peersIn(env),
    vms: flagIn(env, "AGENT_VM_VMS", "1"),
    drainMs: numberIn(env, "AGENT_VM_DRAIN_MS", MAX_DRAIN_MS),
    auditFile: env.AGENT_VM_AUDIT_FILE || undefined,
    auditDetails: flagIn(env, "AGENT_VM_AUDIT_DETAILS"),
  };
}

/** Folder of a user's programs for data. A user without an entry in /etc/passwd and without HOME has no home: it needs `AGENT_VM_DATA`. */
const stateHome = (env: NodeJS.ProcessEnv): string =>
  env.XDG_STATE_HOME || join(homedir(), ".local", "state");

function peersIn(env: NodeJS.ProcessEnv): PeerOptions | undefined {
  const secret = env.AGENT_VM_PEER_SECRET;
  const others = ["ADVERTISE", "PEER_HOST", "PEER_PORT", "PEER_CERT", "PEER_KEY", "PEER_CA"];
  const other = others.map((name) => `AGENT_VM_${name}`).find((name) => env[name]);
  if (!secret && other !== undefined)
    throw invalidArgument("AGENT_VM_PEER_SECRET", `set together with ${other}`, undefined);
  if (!secret) return undefined;
  const cert = fileIn(env, "AGENT_VM_PEER_CERT");
  const key = fileIn(env, "AGENT_VM_PEER_KEY");
  if ((cert === undefined) !== (key === undefined))
    throw invalidArgument("AGENT_VM_PEER_CERT", "a file, together with AGENT_VM_PEER_KEY", undefined);
  return {
    secret,
    advertise: env.AGENT_VM_ADVERTISE || undefined,
    host: env.AGENT_VM_PEER_HOST || undefined,
    port: numberIn(env, "AGENT_VM_PEER_PORT", 65_535),
    tls: cert !== undefined && key !== undefined ? { cert, key } : undefined,
    ca: fileIn(env, "AGENT_VM_PEER_CA"),
  };
}

function fileIn(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const path = env[name];
  if (!path) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch {
    throw invalidArgument(name, "a file that the server can read", path);
  }
}

function numberIn(env: NodeJS.ProcessEnv, name: string, maximum?: number): number | undefined {
  const text = env[name];
  if (text === undefined || text === "") return undefined;
  const wanted = maximum === undefined ? "a non-negative integer" : `an integer from 0 to ${maximum}`;
  if (!/^\d{1,15}$/.test(text) || Number(text) > (maximum ?? Number.POSITIVE_INFINITY))
    throw invalidArgument(name, wanted, text);
  return Number(text);
}

function flagIn(env: NodeJS.ProcessEnv, name: string, byDefault: "0" | "1" = "0"): boolean {
  const text = env[name] || byDefault;
  if (text !== "0" && text !== "1") throw invalidArgument(name, "0 or 1", text);
  return text === "1";
}
