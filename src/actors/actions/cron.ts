import type { CronMethods } from "../../api/actions.ts";
import { missing } from "../action.ts";
import type { VmActorActions } from "../context.ts";

/** Cron actions; not implemented yet. */
export const cron: Pick<VmActorActions, keyof CronMethods> = {
  scheduleCron: missing("scheduleCron"),
  listCronJobs: missing("listCronJobs"),
  cancelCronJob: missing("cancelCronJob"),
};
