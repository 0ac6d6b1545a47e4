/** The origin of updates that belong to no change of the user's. */
export const housekeeping = Symbol('housekeeping')
