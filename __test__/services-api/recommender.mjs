// @ts-check
// What the app calls: which tip to show, and what the person did with it.

/** @type {Record<string, import('./server.mjs').Route>} */
export const RECOMMENDER = {
  'POST /recommend': (bandits, { body }) => bandits.recommend(body),
  'POST /feedback': (bandits, { body }) => bandits.feedback(body),
}
