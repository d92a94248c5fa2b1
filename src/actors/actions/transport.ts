import type { CallMethods, TransportMethods, VmMethodName } from "../../api/actions.ts";
import { actionNotFound } from "../../api/errors.ts";
import { isVmMethodName } from "../../api/schemas.ts";
import type { CallOutcome, CallRequest } from "../../api/types.ts";
import { action } from "../action.ts";
import { withCaller } from "../caller.ts";
import type { VmActorActions, VmContext } from "../context.ts";
import { failedOutcome, toUserError } from "../errors.ts";

type TransportActions = Pick<VmActorActions, keyof TransportMethods | keyof CallMethods>;

/**
 * What our client uses underneath: calls that survive a lost connection, and files in pieces.
 *
 * @param actions those that beginCall may call by name.
 */
export function transport(actions: () => Record<VmMethodName, unknown>): TransportActions {
  return {
    beginCall: action("beginCall", async (c, request) =>
      c.vars.instance.calls.begin(c.conn, request, (gone) =>
        withCaller(gone, () => runCall(c, request, actions())),
      ),
    ),
    acknowledge: action("acknowledge", async (c, received) => c.vars.instance.calls.acknowledge(received)),
    abandonCall: action("abandonCall", async (c, callId) => c.vars.instance.calls.abandon(callId)),
    beginFileRead: action("beginFileRead", (c, path) => c.vars.instance.vm.beginFileRead(path)),
    readFileChunk: action("readFileChunk", (c, transferId, offset) =>
      c.vars.instance.vm.readFileChunk(transferId, offset),
    ),
    beginFileWrite: action("beginFileWrite", (c, path, size) =>
      c.vars.instance.vm.beginFileWrite(path, size),
    ),
    writeFileChunk: action("writeFileChunk", (c, transferId, offset, data) =>
      c.vars.instance.vm.writeFileChunk(transferId, offset, data),
    ),
    commitFileWrite: action("commitFileWrite", (c, transferId) =>
      c.vars.instance.vm.commitFileWrite(transferId),
    ),
    beginTarRead: action("beginTarRead", (c, path) => c.vars.instance.vm.beginTarRead(path)),
    readTarChunk: action("readTarChunk", (c, transferId, offset) =>
      c.vars.instance.vm.readTarChunk(transferId, offset),
    ),
    beginTarWrite: action("beginTarWrite", (c, path) => c.vars.instance.vm.beginTarWrite(path)),
    writeTarChunk: action("writeTarChunk", (c, transferId, offset, data) =>
      c.vars.instance.vm.writeTarChunk(transferId, offset, data),
    ),
    commitTarWrite: action("commitTarWrite", (c, transferId) =>
      c.vars.instance.vm.commitTarWrite(transferId),
    ),
    endFileTransfer: action("endFileTransfer", (c, transferId) =>
      c.vars.instance.vm.endFileTransfer(transferId),
    ),
  };
}

async function runCall(
  c: VmContext,
  { action: name, args }: CallRequest,
  actions: Record<VmMethodName, unknown>,
): Promise<CallOutcome> {
  if (!isVmMethodName(name) || name === "beginCall") {
    return failedOutcome(actionNotFound(name));
  }
  const handler = actions[name] as (c: VmContext, ...args: unknown[]) => Promise<unknown>;
  try {
    return { ok: true, output: await handler(c, ...args) };
  } catch (error) {
    return failedOutcome(toUserError(error, c.log, name));
  }
}
