import { vmOptionsSchema } from "../src/runtime/options.ts";
import type { Store } from "../src/runtime/store/store.ts";
import { assembleVm } from "../src/runtime/vm.ts";
import { openShared } from "../src/runtime/vm-shared.ts";
import { actorStores } from "./actor-stores.ts";
import { measure } from "./loop.ts";

/** `npm run bench:durable`: times of checkpoints, journalled writes and wakes on RivetKit's storage. */
const FILES = 10_000;
const FILE_BYTES = 4096;
const MANY_FILES = 100_000;
const VMS = 20;

const stores = await actorStores();

const options = vmOptionsSchema.parse({ checkpoint: { intervalMs: 2_000_000_000 } });
const shared = openShared(options);
const hooks = { emit: () => undefined, keepAwake: () => undefined };
const vmOver = (store: Store) => assembleVm(shared, hooks, { store });

async function timed(name: string, work: () => Promise<unknown>): Promise<void> {
  const { ms, held, cpu } = await measure(work);
  process.stdout.write(
    `${name.padEnd(58)} ${ms.toFixed(1).padStart(9)} ms   loop held ${held.toFixed(0).padStart(3)} ms, its CPU ${cpu.toFixed(0).padStart(3)} ms\n`,
  );
}

async function median(
  name: string,
  rounds: number,
  work: (round: number) => Promise<unknown>,
): Promise<void> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const started = performance.now();
    await work(round);
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  const middle = times[rounds >> 1] ?? 0;
  process.stdout.write(`${`${name}, median of ${rounds}`.padEnd(58)} ${middle.toFixed(2).padStart(9)} ms\n`);
}

const fill = `mkdir -p /workspace/t && cd /workspace/t && for d in $(seq 100); do mkdir -p $d; done; head -c ${FILES * FILE_BYTES} /dev/urandom | split -a 4 -b ${FILE_BYTES} - f && ls | grep ^f | head -n ${FILES} | awk '{print "mv " $0 " " (NR % 100 + 1) "/" $0}' | sh`;

const store = await stores.open("one");
const vm = vmOver(store);
await vm.exec(fill, { timeout: 120_000 });
await vm.exec("sleep 0.1");
await timed(`checkpoint of ${FILES} changed files of 4 KiB`, () => vm.checkpoint());
await timed(`checkpoint of ${FILES} files, none changed`, () => vm.checkpoint());
await vm.exec("echo changed > /workspace/t/7/changed; sleep 0.1");
await timed(`checkpoint of ${FILES} files, one changed`, () => vm.checkpoint());
const kilobyte = new Uint8Array(1024).fill(65);
await median("put of 1 KiB", 100, (round) => store.put([[`bench/${round}`, kilobyte]]));
await median("writeFile of 1 KiB, acknowledged", 100, (round) =>
  vm.writeFile(`/workspace/w${round}`, kilobyte),
);
await timed(`diff of ${FILES} files`, () => vm.diff());
let archive: Uint8Array = new Uint8Array();
await timed(`export of ${FILES} files`, async () => {
  archive = await vm.exportTar("/workspace/t");
});
await timed(`import of ${FILES} files`, () => vm.importTar(archive, "/workspace/imported"));
await timed(`import of ${FILES} files that replace others`, () =>
  vm.importTar(archive, "/workspace/imported"),
);
await timed(`watch of ${2 * FILES} files`, () => vm.watchFiles("/workspace", { recursive: true }));
await timed("checkpoint with the imported files", () => vm.checkpoint());
await vm.delete("/workspace/imported", { recursive: true });
await vm.exec(`mkdir /workspace/m && cd /workspace/m && seq ${MANY_FILES} | xargs touch`);
await timed(`checkpoint of ${MANY_FILES} new empty files in one directory`, () => vm.checkpoint());
await timed(`checkpoint of ${MANY_FILES} empty files, none changed`, () => vm.checkpoint());
await vm.delete("/workspace/m", { recursive: true });
await timed(`checkpoint after the delete of ${MANY_FILES} files`, () => vm.checkpoint());
await vm.dispose("sleep");
const woken = vmOver(store);
await timed(`wake with ${FILES} files of 4 KiB`, () => woken.exists("/workspace"));
await timed("checkpoint after the wake, none changed", () => woken.checkpoint());
await woken.dispose("destroy");

const many = await Promise.all(
  Array.from({ length: VMS }, async (_, index) => vmOver(await stores.open(`vm-${index}`))),
);
for (const each of many)
  await each.exec("mkdir /workspace/t; head -c 2000000 /dev/urandom | split -b 4096 - /workspace/t/f");
const { ms, delay } = await measure(() => Promise.all(many.map((each) => each.checkpoint())));
process.stdout.write(
  `${`${VMS} VMs of 500 files checkpoint at once`.padEnd(58)} ${ms.toFixed(1).padStart(9)} ms   loop delay p99 ${delay.toFixed(0)} ms\n`,
);
await Promise.all(many.map((each) => each.dispose("destroy")));
await stores[Symbol.asyncDispose]();
process.exit(0);
