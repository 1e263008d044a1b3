# Rscript regression.R <task> <folder> [numbers]: a regression by an R package, for regression.py.
#   direct <kernel> <degree> <bandwidth of each column>   locfit, fitted at the data's own points
#   locfit, KernSmooth, np                                bandwidth chosen from the data, then prediction
# The folder holds data.csv, y and then x, and at.csv; out.csv gets the predictions. Standard output gets "name value" lines.
arguments <- commandArgs(trailingOnly = TRUE)
folder <- arguments[2]
read <- function(name) as.matrix(read.csv(file.path(folder, name), header = FALSE))
write <- function(numbers) write.table(numbers, file.path(folder, "out.csv"), row.names = FALSE, col.names = FALSE)
say <- function(name, value) cat(name, format(value, digits = 15), "\n")
seconds <- function(work) sum(system.time(work)[c("user.self", "sys.self")])

data <- read("data.csv")
y <- data[, 1]
x <- data[, -1, drop = FALSE]
at <- read("at.csv")
n <- length(y)
d <- ncol(x)
rule <- 1.06 * apply(x, 2, sd) * n^(-1 / (4 + d))  # standard deviations of a Gaussian

if (arguments[1] == "direct") {
  suppressMessages(library(locfit))
  kern <- c(biweight = "bisq", epanechnikov = "epan", gaussian = "gauss")[arguments[3]]
  h <- as.numeric(arguments[-(1:4)])
  # locfit's Gaussian has a standard deviation of h / 2.5.
  if (kern == "gauss") h <- 2.5 * h
  write(fitted(locfit.raw(x, y, alpha = c(0, 1), scale = h, deg = as.integer(arguments[4]), kern = kern, ev = dat(), maxk = 10 * n)))
} else if (arguments[1] == "locfit") {
  # One factor of the rule of thumb for all columns, the best of ten by generalized cross-validation; fits at the vertices of a
  # kd-tree, and a polynomial between them.
  suppressMessages(library(locfit))
  fit <- function(factor) locfit.raw(x, y, alpha = c(0, factor), scale = rule * 2.65, deg = 1, kern = "bisq", maxk = 10000)
  factors <- 0.4 * 1.3^(0:9)
  say("fit_seconds", seconds({
    criteria <- sapply(factors, function(factor) {
      z <- fit(factor)$dp  # as locfit's gcv()
      -2 * n * z["lk"] / (n - z["df1"])^2
    })
    best <- factors[which.min(criteria)]
    model <- fit(best)
  }))
  say("predict_seconds", seconds(values <- predict(model, at)))
  say("bandwidth", best * rule[1] * 2.65)
  write(values)
} else if (arguments[1] == "KernSmooth") {
  # The direct plug-in of Ruppert, Sheather and Wand (1995); binned, one column.
  suppressMessages(library(KernSmooth))
  say("fit_seconds", seconds({
    h <- dpill(x[, 1], y)
    line <- locpoly(x[, 1], y, bandwidth = h)
  }))
  say("predict_seconds", seconds(values <- approx(line$x, line$y, at[, 1], rule = 2)$y))
  say("bandwidth", h)
  write(values)
} else if (arguments[1] == "np") {
  suppressMessages(library(np))
  options(np.messages = FALSE)
  say("fit_seconds", seconds({
    bw <- npregbw(xdat = data.frame(x), ydat = y, regtype = "ll", bwmethod = "cv.ls")
  }))
  say("predict_seconds", seconds(values <- npreg(bws = bw, exdat = data.frame(at))$mean))
  say("bandwidth", bw$bw[1])
  write(values)
}
