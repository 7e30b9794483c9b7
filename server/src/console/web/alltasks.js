// Asks for the tasks that may be seen. Of each state only so many are taken, those that were made last: what is done never
// crowds out what is stuck.

import { api } from "./api.js";
import { STATES } from "./flow.js";

/** Tasks of one state at most. */
export const MOST = 5000;

/** All of them, or those that `query` names. `cut` is the set of states that have more. */
export async function allTasks(query, signal) {
  const ask = (state) => api.all("/v1/tasks", { ...query, state, order: "newest" }, MOST, signal);
  const lists = await Promise.all(STATES.map(ask));
  // One that goes on meanwhile may stand in two lists.
  const tasks = [...new Map(lists.flat().map((task) => [task.task_id, task])).values()];
  tasks.cut = new Set(STATES.filter((_, at) => lists[at].cut));
  return tasks;
}
