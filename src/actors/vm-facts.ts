import { within } from "../base/within.ts";
import type { LiveFacts } from "../http/peers/messages.ts";
import type { LiveVm } from "../runtime/vm.ts";
import { VM_MEASURE_MS } from "./limits.ts";

/** The part of a VM that says how it is. */
type Telling = Pick<LiveVm, "state" | "processCount" | "labels" | "listUse" | "fileBytes">;

/** Returns the state of a VM, as a list shows it. @param use whether to measure what it uses, which looks at each of its processes */
export async function vmFacts(
  vm: Telling,
  { use: wantsUse, lastUsedAt }: { use: boolean; lastUsedAt: () => number },
): Promise<LiveFacts> {
  // On a busy server what takes long to measure is left out, and not the VM.
  const measured = within(wantsUse ? used(vm) : files(vm), VM_MEASURE_MS).catch(() => undefined);
  const [labels, { use, storedBytes } = {}] = await Promise.all([vm.labels(), measured]);
  return {
    ...{ state: vm.state(), processes: vm.processCount(), lastUsedAt: lastUsedAt(), labels },
    ...(use && { use }),
    ...(typeof storedBytes === "number" && { storedBytes }),
  };
}

interface Measured {
  use?: LiveFacts["use"];
  storedBytes?: number | null | undefined;
}

async function used(vm: Telling): Promise<Measured> {
  const use = await vm.listUse();
  return { use, storedBytes: use?.diskBytes };
}

async function files(vm: Telling): Promise<Measured> {
  return { storedBytes: await vm.fileBytes() };
}
