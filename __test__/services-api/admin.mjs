// @ts-check
// What the admin console calls. Reads take the query string as it is: times are ISO 8601 texts.

/** @typedef {import('./server.mjs').Route} Route */

/** The one number that queries have. @param {Record<string, string>} query */
const paged = ({ limit, ...query }) => ({ ...query, ...(limit !== undefined && { limit: Number(limit) }) })

/** @type {Record<string, Route>} */
const POLICIES = {
  'GET /admin/policies': (bandits) => bandits.policies(),
  'PUT /admin/policies/:policy': (bandits, { params, body }) => {
    bandits.setPolicy(/** @type {any} */ (params['policy']), body)
    return bandits.policies()
  },
}

/** @type {Record<string, Route>} */
const READS = {
  'GET /admin/decisions': (bandits, { query, signal }) => bandits.decisions(paged(query), { signal }),
  'GET /admin/analytics': (bandits, { query, signal }) => bandits.analytics(query, { signal }),
  'GET /admin/data-quality': (bandits, { query, signal }) => bandits.dataQuality(query, { signal }),
  'POST /admin/simulate': (bandits, { body, signal }) => bandits.simulate(body, { signal }),
  'POST /admin/generate': (bandits, { body, signal }) => bandits.generate(body, { signal }),
  'GET /admin/health': (bandits) => {
    const health = bandits.health()
    return Response.json(health, { status: health.ok ? 200 : 503 })
  },
}

/** @type {Record<string, Route>} */
const USERS = {
  'GET /admin/users': (bandits, { query, signal }) => bandits.users(paged(query), { signal }),
  'GET /admin/users/:id/stats': (bandits, { params, query }) => bandits.stats(String(params['id']), /** @type {any} */ (query['policy'])),
  'GET /admin/users/:id/features': (bandits, { params }) => bandits.features(String(params['id'])),
  'POST /admin/users/:id/reset': (bandits, { params }) => bandits.reset(String(params['id'])),
  'DELETE /admin/users/:id': (bandits, { params }) => bandits.erase(String(params['id'])),
}

export const ADMIN = { ...POLICIES, ...READS, ...USERS }
