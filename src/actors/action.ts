import { setImmediate as nextTurn } from "node:timers/promises";
import { AgentVmError, actionNotFound, responseTooLarge } from "../api/errors.ts";
import { MAX_RESULT_BYTES } from "../api/limits.ts";
import { parseArgs } from "../api/methods/parse.ts";
import { isVmMethodName, rowOf, VM_METHOD_NAMES, type VmMethodName } from "../api/methods/table.ts";
import type { CallOutcome, CallRequest, CallTicket } from "../api/methods/transport.ts";
import type { Guarded } from "../api/rights.ts";
import { asCaller, currentCaller } from "../base/caller.ts";
import { give } from "../base/given.ts";
import { assertNotDraining, isDraining } from "../monitoring/draining.ts";
import { isClientCall } from "../rivet/actions.ts";
import { withQuickJson } from "../rivet/json-bytes.ts";
import type { Outlet } from "../rivet/outlets.ts";
import { beginAnswer } from "../rivet/socket-turns.ts";
import { errorOf, failedOutcome, toUserError, withUserErrors } from "../rivet/user-error.ts";
import { ACTOR_METHODS } from "./actor-methods.ts";
import { CallAnswer } from "./call-answer.ts";
import { type CallConnection, callLost } from "./calls.ts";
import type { VmActorActions, VmContext } from "./context.ts";
import { asRunning } from "./drain.ts";
import { turnAfter } from "./large-calls.ts";
import { assertJson, encodedAhead, measured, outletFor, receiverOf } from "./large-results.ts";
import { ownContext } from "./own-context.ts";
import { ownRight } from "./own-parts.ts";

/** Methods that begin calls, which no call can be. */
const BEGINNING: ReadonlySet<string> = new Set(["beginCall", "beginCalls"]);

/** Calls of one message that begin in one turn of the event loop. */
const CALLS_PER_TURN = 8;

type AnyHandler = (c: VmContext, ...args: unknown[]) => Promise<unknown>;

/** The methods that the VM does not answer itself. */
const OWN_METHODS: typeof ACTOR_METHODS & Pick<VmActorActions, "beginCall" | "beginCalls"> = {
  ...ACTOR_METHODS,
  async beginCall(c, request) {
    if (!request.answer) return await begin(c, receiverOf(c, request.action), request);
    const answer = new CallAnswer(receiverOf(c, request.action));
    return await answer.over(await begin(c, answer, request));
  },
  async beginCalls(c, requests) {
    for (const [index, request] of requests.entries()) {
      if (index > 0 && index % CALLS_PER_TURN === 0) await nextTurn();
      await begin(c, receiverOf(c, request.action), request);
    }
    return c.vars.instance.calls.acknowledge([]);
  },
};

/** Begins a call, or joins the call of its key. @param connection receives the outcome */
async function begin(c: VmContext, connection: CallConnection, request: CallRequest): Promise<CallTicket> {
  const { calls, note } = c.vars.instance;
  // After a crash of this instance nobody could say whether it has begun the call.
  if (calls.isLeftOver(request)) await note.forget(() => c.saveState({ immediate: true }));
  const ticket = calls.begin(connection, request, (gone) => asCaller({ gone }, () => runCall(c, request)));
  // A connection may close while its earlier messages are carried out.
  if (!c.conns.has(connection.id)) calls.disconnected(connection.id);
  return ticket;
}

/** Every action of a `vm` actor, made from the method table. */
export const VM_ACTIONS = Object.fromEntries(
  VM_METHOD_NAMES.map((name) => [name, actionOf(name)]),
) as unknown as VmActorActions;

/**
 * Makes an action as RivetKit runs it. RivetKit's schedule may call an action of the server's own, without a client. Errors become errors that a client may see. The action measures its result, because
 * RivetKit never answers the caller of a result that it cannot send.
 */
export function actionOf(name: string): AnyHandler {
  return (c, ...received) =>
    withUserErrors(c.vars.instance.monitor.log, name, async () => {
      beginAnswer();
      const outlet = outletFor(c);
      const isProtocol = rowOf(name)?.protocol === true;
      if (!isProtocol) assertNotDraining();
      await turnAfter(received);
      const act = async () => await encodable(c, name, await answer(c, name, received), outlet);
      // A server that drains waits for the turns of a large result too.
      return withQuickJson(await (isProtocol ? act() : asRunning(c.vars.instance, act)));
    });
}

/** Returns a result as it can be sent to the client. */
async function encodable(
  c: VmContext,
  name: string,
  result: unknown,
  outlet: Outlet | undefined,
): Promise<unknown> {
  // The token may have ended during a long action.
  if (isClientCall(c)) c.vars.access.checkEnd(c.conn);
  await assertEncodable(c, name, result);
  const bytes = await measured(result);
  if (bytes > MAX_RESULT_BYTES) throw responseTooLarge(name, bytes, MAX_RESULT_BYTES, "Ask for it in parts.");
  return await encodedAhead(name, result, outlet);
}

/** Runs a call of the call protocol. The call table measures the outcome. */
async function runCall(c: VmContext, { action: name, args }: CallRequest): Promise<CallOutcome> {
  const isOwn = Object.hasOwn(c.vars.own.parts.actions ?? {}, name);
  if (!isOwn && (!isVmMethodName(name) || BEGINNING.has(name))) return failedOutcome(actionNotFound(name));
  try {
    const output = await answer(c, name, args);
    await assertEncodable(c, name, output);
    return { ok: true, output };
  } catch (error) {
    const { log } = c.vars.instance.monitor;
    // A call that a stopping server has cut off cannot be repeated: it may have taken effect.
    const isCut = isDraining() && error instanceof AgentVmError && error.code === "vm_stopped";
    return failedOutcome(isCut ? callLost(name) : toUserError(error, log, name));
  }
}

/** @throws AgentVmError `response_too_large` for a result that cannot be encoded for the connection within a turn */
async function assertEncodable(c: VmContext, name: string, result: unknown): Promise<void> {
  if (isClientCall(c) && c.conn.state.isJson) await assertJson(name, result);
}

/** Checks the client's rights and the arguments of a method, runs it, and notes its end. */
async function answer(c: VmContext, name: string, received: readonly unknown[]): Promise<unknown> {
  const { access, instance } = c.vars;
  const isClients = isClientCall(c);
  const isMethod = isVmMethodName(name);
  const startedAt = performance.now();
  let args: readonly unknown[] = [];
  let error: ReturnType<typeof errorOf> | undefined;
  const call = async () => {
    if (isClients) access.check(c.conn, rightOf(c, name), { method: name });
    args = isMethod ? parseArgs(name, received) : received;
    if (isMethod) giveAway(received, args, () => held?.changed());
    return await (isMethod ? run(c, name, [...args]) : runOwn(c, name, args));
  };
  if (rowOf(name)?.protocol) return await call();
  let held: ReturnType<typeof instance.held.hold> | undefined;
  try {
    held = instance.held.hold(received);
    return await asRunning(instance, () => instance.monitor.traced(name, call));
  } catch (thrown) {
    error = errorOf(thrown);
    // Another server may have room. The engine chooses one when the VM wakes.
    if (error.code === "server_full" && access.policy.behindEngine) c.sleep();
    throw thrown;
  } finally {
    held?.release();
    const names = isMethod ? rowOf(name).input.names : [];
    const ms = performance.now() - startedAt;
    if (isClients)
      instance.monitor.called({
        who: access.whoIs(access.grantOf(c.conn)),
        method: name,
        names,
        args,
        error,
        ms,
      });
  }
}

/**
 * Lets the method take stdin out of its arguments. A command may run for hours, and its input would stay in memory until its
 * end, also if it is read.
 */
function giveAway(received: readonly unknown[], args: readonly unknown[], onTaken: () => void): void {
  for (const arg of args) give(arg, onTaken);
  for (const arg of received) {
    const holder = arg as { stdin?: unknown } | null | undefined;
    if (args.includes(arg)) continue;
    if (typeof holder === "object" && holder?.stdin !== undefined) delete holder.stdin;
  }
}

function rightOf(c: VmContext, name: string): Guarded {
  return isVmMethodName(name) ? rowOf(name) : ownRight(c.vars.own.parts, name, "exec");
}

/** Runs an action of the server's own. */
async function runOwn(c: VmContext, name: string, args: readonly unknown[]): Promise<unknown> {
  const { instance, own } = c.vars;
  instance.used();
  const action = own.parts.actions?.[name];
  if (action === undefined) throw actionNotFound(name);
  const grant = isClientCall(c) ? c.conn.state : undefined;
  const caller = { ...currentCaller(), identity: grant?.identity };
  const result: unknown = await asCaller(caller, () =>
    action(ownContext(c, c.vars, grant) as never, ...args),
  );
  // RivetKit's JSON encoding has no undefined.
  return result === undefined ? null : result;
}

/** Runs a method. Its arguments are checked. */
async function run(c: VmContext, name: VmMethodName, args: unknown[]): Promise<unknown> {
  const { abortable, input, looks } = rowOf(name);
  if (!looks) c.vars.instance.used();
  if (abortable) args[input.names.length] = currentCaller().gone;
  const own = (OWN_METHODS as Partial<Record<VmMethodName, AnyHandler>>)[name];
  const { vm } = c.vars.instance;
  const run = async () =>
    own
      ? await own(c, ...args)
      : await (vm as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!(...args);
  const { identity } = c.vars.access.grantOf(c.conn);
  const result = await asCaller({ ...currentCaller(), identity }, run);
  // RivetKit's JSON encoding has no undefined, and its client rejects an answer without an output.
  return result === undefined ? null : result;
}
