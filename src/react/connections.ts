import type { VmConnection, VmHandle } from "../client/index.ts";

interface Shared {
  connection: VmConnection;
  users: number;
}

/** Open connections by handle. Hooks get a handle from anywhere, also from a client without a provider. */
const open = new WeakMap<VmHandle, Shared>();

/** Returns the connection that all hooks of a VM share. @returns it, and a function that gives it back */
export function borrow(vm: VmHandle): { connection: VmConnection; giveBack: () => void } {
  const shared = open.get(vm) ?? { connection: vm.connect(), users: 0 };
  shared.users += 1;
  open.set(vm, shared);
  let isBack = false;
  const giveBack = () => {
    if (isBack) return;
    isBack = true;
    shared.users -= 1;
    if (shared.users > 0) return;
    if (open.get(vm) === shared) open.delete(vm);
    void shared.connection.dispose();
  };
  return { connection: shared.connection, giveBack };
}
