import { expect, onTestFinished, test } from "vitest";
import { MAX_SERVER_TREE_BYTES, SMALL_TREE_BYTES } from "../../../src/runtime/sandbox/limits.ts";
import { TreeBudget } from "../../../src/runtime/sandbox/tree-budget.ts";
import { failure } from "../../support/until.ts";

const MIB = 1024 * 1024;
const never = () => new Promise<never>(() => undefined);

function openBudget(): TreeBudget {
  const budget = new TreeBudget();
  onTestFinished(() => budget.close());
  return budget;
}

/** A reading that goes on until the VM ends, as if its storage did not answer. */
function hang(budget: TreeBudget, bytes: number): Promise<{ code?: unknown }> {
  return failure(
    budget.reading(async (account) => {
      account.charge(bytes);
      await never();
    }),
  );
}

test("the end of a VM ends its readings and gives their memory back, even if its storage does not answer", async () => {
  const budgets = Array.from({ length: 3 }, openBudget);
  const hanging = budgets.map((budget) => hang(budget, 100 * MIB));
  await expect.poll(() => budgets.map(({ bytes }) => bytes)).toEqual([100 * MIB, 0, 0]);
  const late = openBudget().reading(async (account) => {
    account.charge(SMALL_TREE_BYTES + MAX_SERVER_TREE_BYTES - MIB);
    return "read";
  });
  for (const budget of budgets) budget.close();
  for (const ended of await Promise.all(hanging)) expect(ended).toMatchObject({ code: "vm_stopped" });
  expect(budgets.map(({ bytes }) => bytes)).toEqual([0, 0, 0]);
  expect(await late).toBe("read");
});

test("small trees are read while large ones wait", async () => {
  const large = openBudget();
  void hang(large, 20 * MIB);
  await expect.poll(() => large.bytes).toBe(20 * MIB);
  const waiting = openBudget();
  void hang(waiting, 20 * MIB);
  const small = await openBudget().reading(async (account) => {
    account.charge(SMALL_TREE_BYTES);
    return waiting.bytes;
  });
  expect(small).toBe(0);
});

test("nothing of a VM that has ended takes memory", async () => {
  const budget = openBudget();
  const account = budget.open();
  account.charge(20 * MIB);
  budget.close();
  expect(budget.bytes).toBe(0);
  for (const late of [account, budget.open()])
    expect(await failure(Promise.resolve().then(() => late.charge(1)))).toMatchObject({ code: "vm_stopped" });
  account.charge(-1);
  account.close();
  expect(budget.bytes).toBe(0);
  expect(await failure(budget.reading(async () => "read"))).toMatchObject({ code: "vm_stopped" });
});

test("memory that is given back twice counts once", () => {
  const budget = openBudget();
  const [one, other] = [budget.open(), budget.open()];
  one.charge(MIB);
  other.charge(MIB);
  one.reset();
  one.close();
  one.close();
  expect(budget.bytes).toBe(MIB);
});
