import { AgentVmError } from "../api/errors.ts";
import { opensHost } from "../api/network-rule.ts";
import { type Guarded, permits, type Right } from "../api/rights.ts";
import { keyText, prefixText } from "../directory/key-text.ts";

/** The VMs that a grant reaches. */
export interface Scope {
  /** Keys of the VMs. */
  keys?: string[][];
  /** First parts of the keys. */
  prefix?: string[];
  /** Names of the actors whose VMs it reaches. @default every actor that is a VM */
  actors?: string[];
}

/** The rights of an admitted request. Plain data, because RivetKit stores it with a connection. */
export interface Grant {
  /** Everything on this server: the administrator, or a call within the process. */
  unlimited?: true;
  may: Right[];
  vms: Scope;
  /** Id of the token that the request carries. */
  tokenId?: string;
  /** Time at which the grant ends, in milliseconds since the Unix epoch. */
  expiresAt?: number;
  /** Identity that `authorize` has returned. */
  identity?: unknown;
  /** Whether the request came to a server, and not through a Rivet Engine. */
  isDirect?: true;
  /** The VM that `authorize` was asked about. The request reaches no other VM. */
  asked?: VmName;
}

/** A VM by the name of its actor and its key. */
export interface VmName {
  name: string;
  key: readonly string[];
}

/** Grant of the server's token. */
export const UNLIMITED: Grant = { unlimited: true, may: ["admin"], vms: { prefix: [""] } };

/** Grant of a request that carries a credential of another kind, such as a preview's token. */
export const NOTHING: Grant = { may: [], vms: {} };

/** Names the client behind a grant: a token, an identity of `authorize`, or the administrator; with its rights. */
export function clientOf({ unlimited, tokenId, identity, may, vms }: Grant): string {
  return JSON.stringify([unlimited ?? false, tokenId, identity, may, vms]);
}

/** Returns whether a grant reaches a VM. */
export function reaches({ unlimited, vms }: Grant, { name, key }: VmName): boolean {
  return unlimited === true || ((vms.actors?.includes(name) ?? true) && coverOf(vms)(keyText(key)));
}

export function isSame(one: VmName, other: VmName): boolean {
  return one.name === other.name && keyText(one.key) === keyText(other.key);
}

/** Returns the check of a scope for keys as the directory writes them. */
export function coverOf({ keys = [], prefix }: Scope): (keyText: string) => boolean {
  const whole = new Set(keys.map((key) => keyText(key)));
  const start = prefix && prefixText(prefix);
  return (text) => whole.has(text) || (start !== undefined && text.startsWith(start));
}

/** Returns whether a scope lies within another. */
export function isWithin(inner: Scope, outer: Scope): boolean {
  const named = outer.actors;
  if (named !== undefined && !(inner.actors ?? []).every((name) => named.includes(name))) return false;
  if (named !== undefined && inner.actors === undefined) return false;
  const covers = coverOf(outer);
  if (!(inner.keys ?? []).every((key) => covers(keyText(key)))) return false;
  if (inner.prefix === undefined) return true;
  return outer.prefix !== undefined && prefixText(inner.prefix).startsWith(prefixText(outer.prefix));
}

/**
 * @param subject thing that needs the right, as the error names it: `{ method: "exec" }`
 * @throws AgentVmError `forbidden` if the grant lacks the right
 */
export function requireRight(grant: Grant, guarded: Guarded, subject: Record<string, string>): void {
  if (permits(grant.may, guarded)) return;
  const { right } = guarded;
  const lacking = right === "any" ? "every right" : `the right "${right}"`;
  const [[kind, name] = []] = Object.entries(subject);
  // `startRun` is what the client's `run` sends.
  const shown = name === "startRun" ? "run" : name;
  throw new AgentVmError("forbidden", `The token lacks ${lacking}, which the ${kind} ${shown} needs`, {
    right,
    ...subject,
  });
}

/** @throws AgentVmError `forbidden` if the grant does not reach a VM */
export function requireReach(grant: Grant, { name, key }: VmName): void {
  if (reaches(grant, { name, key })) return;
  throw new AgentVmError("forbidden", `The token does not reach the VM ${JSON.stringify(key)} of "${name}"`, {
    key: [...key],
    hint: "Ask for a token with this VM: client.tokens.create({ vms, may }).",
  });
}

/**
 * @param policy outbound policy that a client chooses, not checked yet
 * @param present the policy that the VM has: its rules may stay, and those of `allow` may become questions
 * @throws AgentVmError `forbidden` for a rule that can open the server's own machine to a VM, and for a policy that keeps such a rule
 * without all present rules of `deny`. Only the administrator may.
 */
export function requireOutside(grant: Grant, policy: unknown, present?: unknown): void {
  if (grant.unlimited) return;
  const [wanted, known] = [listsOf(policy), listsOf(present)];
  const isRefused = (rule: unknown, among: readonly unknown[]) =>
    typeof rule === "string" && opensHost(rule) && !among.includes(rule);
  const rule =
    wanted.allow.find((each) => isRefused(each, known.allow)) ??
    wanted.ask.find((each) => isRefused(each, [...known.allow, ...known.ask]));
  if (rule !== undefined) {
    throw new AgentVmError(
      "forbidden",
      `The rule ${JSON.stringify(rule)} can open the server's own machine`,
      {
        hint: "Leave out the port of the address, or let the administrator set the policy.",
      },
    );
  }
  const kept = [...wanted.allow, ...wanted.ask].find((each) => typeof each === "string" && opensHost(each));
  const dropped = known.deny.find((each) => !wanted.deny.includes(each));
  if (kept === undefined || dropped === undefined) return;
  throw new AgentVmError(
    "forbidden",
    `Without the rule of \`deny\` ${JSON.stringify(dropped)} the rule ${JSON.stringify(kept)} can open more of the server's own machine`,
    { hint: "Keep the rules of `deny`, or let the administrator set the policy." },
  );
}

function listsOf(policy: unknown): { allow: unknown[]; ask: unknown[]; deny: unknown[] } {
  const { allow, ask, deny } = Object(policy) as { allow?: unknown; ask?: unknown; deny?: unknown };
  const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
  return { allow: listOf(allow), ask: listOf(ask), deny: listOf(deny) };
}
