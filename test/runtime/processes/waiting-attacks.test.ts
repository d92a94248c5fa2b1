// @module-tag attack
// @module-tag any-user
import { expect, test } from "vitest";
import { startVm } from "../../support/vm.ts";

/** Programs that mislead a look at their waits. Each ends up asleep. */
const HOSTILE = {
  "a poll whose descriptors are no longer mapped": `
import ctypes, mmap, threading, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
page = libc.mmap(None, 4096, 3, 0x22, -1, 0)
ctypes.memmove(page, b"\\0\\0\\0\\0\\1\\0\\0\\0", 8)
threading.Thread(target=lambda: libc.poll(ctypes.c_void_p(page), 1, -1), daemon=True).start()
time.sleep(0.3)
libc.munmap(ctypes.c_void_p(page), 4096)
print("go", flush=True)
threading.Event().wait()`,
  "an epoll of 4,000 descriptors": `
import os, resource, select
watch = select.epoll()
watch.register(0, 1)
r, w = os.pipe()
for _ in range(3900): watch.register(os.dup(r), 1)
print("go", flush=True)
watch.poll()`,
  "a name of parentheses and numbers": `
import ctypes, time
ctypes.CDLL(None).prctl(15, b"x) R 1 1 1 34816\\n", 0, 0, 0)
print("go", flush=True)
time.sleep(1000)`,
  "300 threads that wait for stdin beside a busy one": `
import select, threading
for _ in range(300): threading.Thread(target=lambda: select.select([0], [], []), daemon=True).start()
print("go", flush=True)
while True: pass`,
};

test.each(Object.entries(HOSTILE))("a program cannot mislead a look at its input: %s", async (_, program) => {
  const { vm, outputHas } = startVm();
  const { pid } = await vm.spawn("python3", ["-c", program]);
  await outputHas(pid, "go");
  // A look that has begun before the program fell asleep is shared with this call.
  await vm.getProcess(pid);
  for (let look = 0; look < 10; look++) {
    expect(await vm.getProcess(pid)).toMatchObject({ waitingForInput: false });
    expect((await vm.allProcesses()).find((process) => process.pid === pid)).toMatchObject({
      waitingForInput: false,
    });
  }
  expect((await vm.exec("echo fine")).stdout).toBe("fine\n");
});

test("a VM of many processes that wait is looked at within the limit of threads", async () => {
  const { vm, outputHas } = startVm({ limits: { processes: 1500 } });
  const { pid } = await vm.spawn("python3", [
    "-c",
    `import select, threading
for _ in range(1000): threading.Thread(target=lambda: select.select([0], [], []), daemon=True).start()
print("go", flush=True)
select.select([0], [], [])`,
  ]);
  await outputHas(pid, "go");
  // A look that has begun before the last thread is shared with this call.
  await vm.getProcess(pid);
  expect(await vm.getProcess(pid)).toMatchObject({ waitingForInput: false });
  const cat = await vm.spawn("cat");
  expect((await vm.exec("echo fine")).stdout).toBe("fine\n");
  await vm.killProcess(cat.pid);
});
