package io.audiomamba.train;

/** The learning rate at a moment of training. */
final class LearningRate {

    private LearningRate() {}

    /**
     * @param epoch from 0
     * @param part  of the epoch that is done, in [0, 1]: a step has the rate of its end, but no other epoch's
     */
    static double at(Recipe recipe, int epoch, double part) {
        Recipe.Schedule schedule = recipe.schedule();
        return recipe.optimizer().lr() * switch (schedule.kind()) {
            case COSINE -> cosine(schedule, epoch + part, recipe.train().epochs());
            case STEPS -> steps(schedule, epoch);
        };
    }

    private static double cosine(Recipe.Schedule schedule, double epoch, int epochs) {
        double warmup = Math.min(schedule.warmupEpochs(), epochs);
        if (epoch < warmup) {
            return epoch / warmup;
        }
        double progress = (epoch - warmup) / Math.max(1, epochs - warmup);
        return schedule.finalFactor() + (1 - schedule.finalFactor()) * 0.5 * (1 + Math.cos(Math.PI * progress));
    }

    private static double steps(Recipe.Schedule schedule, int epoch) {
        if (epoch < schedule.warmupFactors().size()) {
            return schedule.warmupFactors().get(epoch);
        }
        return Math.pow(0.5, schedule.stepEpochs().stream().filter(step -> epoch >= step).count());
    }
}
