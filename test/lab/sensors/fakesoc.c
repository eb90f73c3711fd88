// SPDX-License-Identifier: GPL-2.0
/*
 * What QEMU's virt machine lacks of a system on chip: a thermal zone, whose temperature is a module parameter, and a
 * cpufreq driver, whose clock can be capped the way a cooling device of the kernel does it (a request on the policy
 * that user space cannot lift). The emulator does not get any slower by a lower clock.
 */
#include <linux/cpufreq.h>
#include <linux/module.h>
#include <linux/thermal.h>

static int temperature_mc = 48350;
module_param(temperature_mc, int, 0644);

static unsigned int current_khz = 2400000;
static struct freq_qos_request cap_request;
static bool cap_ready;
static int cap_khz = FREQ_QOS_MAX_DEFAULT_VALUE;

static int set_cap(const char *text, const struct kernel_param *parameter)
{
	int error = param_set_int(text, parameter);

	if (!error && cap_ready)
		error = freq_qos_update_request(&cap_request, cap_khz > 0 ? cap_khz : FREQ_QOS_MAX_DEFAULT_VALUE);
	return error < 0 ? error : 0;
}

static const struct kernel_param_ops cap_ops = { .set = set_cap, .get = param_get_int };
module_param_cb(cap_khz, &cap_ops, &cap_khz, 0644);

static struct cpufreq_frequency_table clocks[] = {
	{ .frequency = 600000 }, { .frequency = 1000000 }, { .frequency = 1500000 },
	{ .frequency = 1800000 }, { .frequency = 2400000 }, { .frequency = CPUFREQ_TABLE_END },
};

static int fakesoc_init_policy(struct cpufreq_policy *policy)
{
	cpumask_setall(policy->cpus);
	policy->freq_table = clocks;
	policy->cpuinfo.transition_latency = 100000;
	policy->cur = current_khz;
	return 0;
}

static int fakesoc_target(struct cpufreq_policy *policy, unsigned int index)
{
	current_khz = clocks[index].frequency;
	return 0;
}

static unsigned int fakesoc_get(unsigned int cpu)
{
	return current_khz;
}

static struct cpufreq_driver clock_driver = {
	.name = "fakesoc",
	.flags = CPUFREQ_NEED_INITIAL_FREQ_CHECK,
	.init = fakesoc_init_policy,
	.verify = cpufreq_generic_frequency_table_verify,
	.target_index = fakesoc_target,
	.get = fakesoc_get,
	.attr = cpufreq_generic_attr,
};

static int fakesoc_temperature(struct thermal_zone_device *zone, int *millidegrees)
{
	*millidegrees = temperature_mc;
	return 0;
}

static struct thermal_zone_device_ops zone_ops = { .get_temp = fakesoc_temperature };
static struct thermal_zone_device *zone;

static int __init fakesoc_init(void)
{
	struct cpufreq_policy *policy;
	int error;

	zone = thermal_zone_device_register("cpu-thermal", 0, 0, NULL, &zone_ops, NULL, 0, 0);
	if (IS_ERR(zone))
		return PTR_ERR(zone);
	thermal_zone_device_enable(zone);
	error = cpufreq_register_driver(&clock_driver);
	if (error) {
		thermal_zone_device_unregister(zone);
		return error;
	}
	policy = cpufreq_cpu_get(0);
	if (policy) {
		cap_ready = freq_qos_add_request(&policy->constraints, &cap_request, FREQ_QOS_MAX, cap_khz) >= 0;
		cpufreq_cpu_put(policy);
	}
	return 0;
}
module_init(fakesoc_init);
MODULE_LICENSE("GPL");
